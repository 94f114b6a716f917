"""OrbitPainter on a GPU: seconds and memory of one call of an expert, and of the sparse branch's attention.

    python -m benchmarks.orbitpainter steps [--tokens 33792] [--json FILE]
    python -m benchmarks.orbitpainter attention [--json FILE]
    python -m benchmarks.orbitpainter steps --tiny

The network is the published one, 14 billion parameters, with random weights that are made on the GPU tensor
by tensor and never written to disk; its time and memory do not depend on their values. 33,792 tokens are two
clips of 61 frames of 512 x 512 at once, the paper's case, for which it gives 12 minutes on an H100; 73,728
are one of 121 frames of 768 x 768. A clip's minutes are its calls times the seconds of one, without the
autoencoder, and as if the first-block cache skipped nothing. ``--tiny`` is for machines without a GPU: a
small network, which only tests that the benchmark runs.
"""

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
import torch
import trimesh
from diffusers import WanTransformer3DModel
from torch.nn.functional import scaled_dot_product_attention

from backend.api.job import MeshData
from backend.device import best_device
from backend.mesh.prepare import prepare
from backend.paint.orbitpainter import cost_model, flex_attention, gasa
from backend.paint.orbitpainter.device_placement import prepare_for_device
from backend.paint.orbitpainter.layouts import (
    TOKEN_SIZE,
    Clip,
    count_latent_frames,
    horizontal_layout,
    joint_layout,
)
from backend.paint.orbitpainter.memory_plan import MEMORY_PROFILES, MemoryProfile
from backend.paint.orbitpainter.network import INPUT_CHANNELS, PUBLISHED_CONFIG, assign_weights
from backend.paint.orbitpainter.painter import QUALITY_PRESETS
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.gbuffer_images import position_image
from backend.render.rasterize import render

from .report import Report, parser, peak_gigabytes

STEP_COLUMNS = [
    "tokens",
    "held as",
    "quality",
    "sparse branch",
    "s per call",
    "GB",
    "TFLOP/s",
    "calls",
    "clip min",
    "estimated min",
]
ATTENTION_COLUMNS = [
    "tokens",
    "neighbours",
    "blocks %",
    "FlexAttention ms",
    "dense masked ms",
    "dense / Flex",
    "gathered ms",
    "full ms",
]
TINY_CONFIG = PUBLISHED_CONFIG | {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "ffn_dim": 64,
    "num_layers": 2,
    "text_dim": 20,
    "freq_dim": 32,
}
"""The network of ``--tiny``."""

REPEATS = 3
"""Calls that are timed, after one that is not."""


@dataclass(frozen=True)
class Case:
    """Clips of a sphere.

    Attributes:
        size: width and height of a view in pixels.
        clips: all at once.
        views: of an orbit.
    """

    size: int
    clips: list[Clip]
    views: int

    @property
    def frames(self) -> int:
        """Latent frames, the reference's among them."""
        return 1 + sum(count_latent_frames(len(clip)) for clip in self.clips)

    @property
    def tokens(self) -> int:
        return self.frames * self.reference_tokens

    @property
    def reference_tokens(self) -> int:
        """Tokens of the reference, as many as of every other latent frame."""
        return (self.size // TOKEN_SIZE) ** 2


@dataclass(frozen=True)
class Variant:
    """How the network is held, sampled with, and whether it has the sparse branch."""

    profile: MemoryProfile
    quality: str
    sparse_branch: bool = False


def build_case(size: int, views: int, both_orbits: bool) -> Case:
    horizontal, vertical = list(range(views)), list(range(views, 2 * views))
    layout = joint_layout if both_orbits else horizontal_layout
    return Case(size, layout(horizontal, vertical)[0].clips, views)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("what", choices=["steps", "attention"])
    options.add_argument("--tokens", type=int, nargs="*", help="only these cases")
    options.add_argument("--tiny", action="store_true")
    chosen = options.parse_args()
    if not chosen.tiny and not torch.cuda.is_available():
        raise SystemExit("There is no GPU here; --tiny runs without one.")
    config = TINY_CONFIG if chosen.tiny else PUBLISHED_CONFIG
    cases = (
        [build_case(128, 12, True)]
        if chosen.tiny
        else [build_case(512, 60, True), build_case(768, 120, False)]
    )
    measure = measure_steps if chosen.what == "steps" else measure_attention
    report = Report(STEP_COLUMNS if chosen.what == "steps" else ATTENTION_COLUMNS, chosen.json)
    for case in cases:
        if not chosen.tokens or case.tokens in chosen.tokens:
            measure(case, config, best_device(), report)


@torch.no_grad()
def measure_steps(case: Case, config: dict, device: torch.device, report: Report) -> None:
    """Reports seconds and memory of a call for every variant."""
    speed, sparse = cost_model.measure_speed(device), None
    operations = cost_model.count_operations(config, case.tokens)
    for variant in list_variants():
        if variant.sparse_branch and sparse is None:
            sparse = build_sparse_attention(case, device)
        sampling = QUALITY_PRESETS[variant.quality]
        try:
            seconds, gigabytes = measure_call(
                case, config, device, variant, sparse if variant.sparse_branch else None
            )
        except torch.OutOfMemoryError:
            seconds = gigabytes = None
        calls = cost_model.count_calls(sampling)
        report.add(
            case.tokens,
            str(variant.profile),
            variant.quality,
            "yes" if variant.sparse_branch else "no",
            seconds,
            gigabytes,
            seconds and operations / seconds / 1e12,
            calls,
            seconds and calls * seconds / 60,
            cost_model.estimate_seconds(config, case.tokens, sampling, variant.profile, speed) / 60,
        )


def list_variants() -> Iterator[Variant]:
    """All qualities, then all memory profiles, then the sparse branch."""
    best = MEMORY_PROFILES[0]
    yield from (Variant(best, quality) for quality in QUALITY_PRESETS)
    yield from (
        Variant(profile, "fast") for profile in MEMORY_PROFILES if profile != best and not profile.tiled
    )
    yield Variant(best, "fast", sparse_branch=True)


def measure_call(
    case: Case, config: dict, device: torch.device, variant: Variant, sparse: gasa.SparseAttention | None
) -> tuple[float, float]:
    """Seconds of a call and gigabytes at its peak; the call before those that count compiles, and finds out
    in which order blocks are streamed."""
    gc.collect()  # frees the network of the row before
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    network = prepare_for_device(
        random_network(config, device, variant.profile.streamed, sparse is not None),
        variant.profile,
        device,
        QUALITY_PRESETS[variant.quality],
    )
    if sparse is not None:
        gasa.set_sparse_attention(network, sparse, case.reference_tokens)
    dtype, size = network.patch_embedding.weight.dtype, case.size // 8
    text = torch.randn(1, 512, config["text_dim"], dtype=dtype, device=device)

    def call() -> None:
        network._reset_stateful_cache()  # so that no block is skipped
        with network.cache_context("positive"):
            network(
                torch.randn(1, INPUT_CHANNELS, case.frames, size, size, dtype=dtype, device=device),
                torch.tensor([900.0], device=device),
                text,
            )

    seconds = time_call(call, device)
    if device.type == "cuda":
        return seconds, torch.cuda.max_memory_allocated(device) / 1e9
    return seconds, peak_gigabytes()


def random_network(
    config: dict, device: torch.device, streamed: bool, branches: bool
) -> WanTransformer3DModel:
    """The network with random weights, made on the device one by one; they lie in the machine's memory if
    they are to be streamed."""
    with torch.device("meta"):
        network = WanTransformer3DModel(in_channels=INPUT_CHANNELS, **config)
    if branches:
        gasa.add_sparse_branches(network)
    home = torch.device("cpu") if streamed else device
    return assign_weights(
        network,
        {
            name: torch.randn(tensor.shape, dtype=torch.bfloat16, device=device).mul_(0.02).to(home)
            for name, tensor in network.state_dict().items()
        },
    )


@torch.no_grad()
def measure_attention(case: Case, config: dict, device: torch.device, report: Report) -> None:
    """Reports milliseconds of the sparse attention in three ways, and of the full one."""
    voxel, frame, neighbours = find_neighbours(case)
    blocks, count = flex_attention.build_block_attention(voxel, frame, neighbours, device), len(voxel)
    shape = count, config["num_attention_heads"], config["attention_head_dim"]
    query, key, value = (torch.randn(shape, dtype=torch.bfloat16, device=device) for _ in range(3))
    heads = [x.transpose(0, 1)[None] for x in (query, key, value)]  # (N, H, D) -> (1, H, N, D)
    row = torch.repeat_interleave(torch.arange(count), neighbours.indptr.diff()).to(device)
    neighbours = neighbours.to(device)
    mask = build_mask(count, row, neighbours.indices)
    flex, dense, gathered, full = (
        time_call(work, device)
        for work in (
            partial(blocks.attend, query, key, value),
            partial(scaled_dot_product_attention, *heads, attn_mask=mask),
            partial(neighbours.attend, query, key, value),
            partial(scaled_dot_product_attention, *heads),
        )
    )
    block_fraction = float(blocks.mask.kv_num_blocks.sum()) / blocks.mask.kv_num_blocks.numel() ** 2
    report.add(
        count,
        len(neighbours.indices) / count,
        100 * block_fraction,
        1e3 * flex,
        1e3 * dense,
        dense / flex,
        1e3 * gathered,
        1e3 * full,
    )


def build_mask(count: int, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    """(N, N) bool: True at the given rows and columns."""
    mask = torch.zeros(count, count, dtype=torch.bool, device=row.device)
    mask[row, column] = True
    return mask


def find_neighbours(case: Case) -> tuple[np.ndarray, np.ndarray, gasa.GatheredAttention]:
    """Voxels and frames of the tokens of a sphere, and their neighbours."""
    sphere = trimesh.creation.icosphere(4)
    surface = prepare(
        MeshData(sphere.vertices.astype(np.float32), sphere.faces.astype(np.int32)),
        1024,
        lambda fraction: None,
    )
    cameras = [
        camera
        for orbit in (horizontal_orbit, vertical_orbit)
        for camera in orbit(case.views, 1.5, 35 / 32, case.size).cameras
    ]
    positions = [position_image(buffer) for buffer in render(surface, cameras)]
    voxel, frame = gasa.compute_token_voxels(positions, case.clips)
    return voxel, frame, gasa.find_neighbours(voxel, frame)


def build_sparse_attention(case: Case, device: torch.device) -> gasa.SparseAttention:
    voxel, frame, neighbours = find_neighbours(case)
    if device.type == "cuda":
        return flex_attention.build_block_attention(voxel, frame, neighbours, device)
    return neighbours


def time_call(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the median of :data:`REPEATS` after a first that does not count."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return median(times[1:])


if __name__ == "__main__":
    main()
