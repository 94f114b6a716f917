"""OrbitPainter on a GPU: seconds and memory of one call of an expert, and of the sparse branch's attention.

    python -m benchmarks.orbitpainter steps [--tokens 33792] [--json FILE]
    python -m benchmarks.orbitpainter attention [--json FILE]
    python -m benchmarks.orbitpainter steps --tiny

The network is the published one, 14 billion parameters, with random weights that are made on the card tensor
by tensor and never written to disk; its time and memory do not depend on their values. 33,792 tokens are two
films of 61 frames of 512 x 512 at once, the paper's case, which takes it 12 minutes on an H100; 73,728 are
one of 121 frames of 768 x 768. A film's minutes are its calls times the seconds of one, without the
autoencoder, and as if no block were skipped. ``--tiny`` is for machines without a GPU: a small network, so
that all this is known to run.
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
from backend.paint.orbitpainter.layouts import TOKEN_SIZE, Film, horizontal, joint
from backend.paint.orbitpainter.memory_plan import MEMORY_PROFILES, MemoryProfile
from backend.paint.orbitpainter.network import INPUT_CHANNELS, PUBLISHED_CONFIG, assign_weights
from backend.paint.orbitpainter.painter import QUALITY_PRESETS
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.maps import position_image
from backend.render.rasterize import render

from .report import Report, parser, peak_gigabytes

STEPS = [
    "tokens",
    "held as",
    "quality",
    "sparse branch",
    "s per call",
    "GB",
    "TFLOP/s",
    "calls",
    "film min",
    "foretold min",
]
ATTENTION = [
    "tokens",
    "neighbours",
    "blocks %",
    "FlexAttention ms",
    "dense masked ms",
    "dense / Flex",
    "gathered ms",
    "full ms",
]
TINY = PUBLISHED_CONFIG | {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "ffn_dim": 64,
    "num_layers": 2,
    "text_dim": 20,
    "freq_dim": 32,
}
REPEATS = 3


@dataclass(frozen=True)
class Case:
    """Films of a sphere.

    Attributes:
        size: of a view in pixels.
        films: all at once.
        views: of an orbit.
    """

    size: int
    films: list[Film]
    views: int

    @property
    def frames(self) -> int:
        """Latent frames, the reference's among them."""
        return 1 + sum((len(film) + 3) // 4 for film in self.clips)

    @property
    def tokens(self) -> int:
        return self.frames * (self.size // TOKEN_SIZE) ** 2


def case(size: int, views: int, both: bool) -> Case:
    around, over = list(range(views)), list(range(views, 2 * views))
    return Case(size, (joint if both else horizontal)(around, over)[0].clips, views)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("what", choices=["steps", "attention"])
    options.add_argument("--tokens", type=int, nargs="*", help="only these cases")
    options.add_argument("--tiny", action="store_true")
    chosen = options.parse_args()
    if not chosen.tiny and not torch.cuda.is_available():
        raise SystemExit("There is no GPU here; --tiny runs without one.")
    cases = [case(128, 12, True)] if chosen.tiny else [case(512, 60, True), case(768, 120, False)]
    report = Report(STEPS if chosen.what == "steps" else ATTENTION, chosen.json)
    for one in cases:
        if not chosen.tokens or one.tokens in chosen.tokens:
            (measure_steps if chosen.what == "steps" else measure_attention)(
                one, TINY if chosen.tiny else PUBLISHED_CONFIG, best_device(), report
            )


@torch.no_grad()
def measure_steps(one: Case, config: dict, device: torch.device, report: Report) -> None:
    speed, near = cost_model.measure_speed(device), None
    for profile, quality, branch in variants():
        if branch and near is None:
            near = neighbours(one, device)
        sampling = QUALITY_PRESETS[quality]
        try:
            seconds, gigabytes = called(one, config, device, profile, quality, near if branch else None)
        except torch.OutOfMemoryError:
            seconds = gigabytes = None
        operations, calls = cost_model.count_operations(config, one.tokens), cost_model.count_calls(sampling)
        report.add(
            one.tokens,
            str(profile),
            quality,
            "yes" if branch else "no",
            seconds,
            gigabytes,
            seconds and operations / seconds / 1e12,
            calls,
            seconds and calls * seconds / 60,
            cost_model.estimate_seconds(config, one.tokens, sampling, profile, speed) / 60,
        )


def variants() -> Iterator[tuple[MemoryProfile, str, bool]]:
    """How the network is held, what for, and whether with the sparse branch."""
    yield from ((MEMORY_PROFILES[0], quality, False) for quality in QUALITY_PRESETS)
    yield from (
        (profile, "fast", False)
        for profile in MEMORY_PROFILES
        if profile != MEMORY_PROFILES[0] and not profile.tiled
    )
    yield MEMORY_PROFILES[0], "fast", True


def called(
    one: Case,
    config: dict,
    device: torch.device,
    profile: MemoryProfile,
    quality: str,
    near: gasa.SparseAttention | None,
) -> tuple[float, float]:
    """Seconds of a call and gigabytes at its peak; the call before those that count compiles, and finds out
    what to stream when."""
    gc.collect()  # the network of the row before
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    network = prepare_for_device(
        random_network(config, device, profile.streamed, near is not None),
        profile,
        device,
        QUALITY_PRESETS[quality],
    )
    if near is not None:
        gasa.set_sparse_attention(network, near, (one.size // TOKEN_SIZE) ** 2)
    kind, side = network.patch_embedding.weight.dtype, one.size // 8
    texts = torch.randn(1, 512, config["text_dim"], dtype=kind, device=device)

    def call() -> None:
        network._reset_stateful_cache()  # so that no block is skipped
        with network.cache_context("wanted"):
            network(
                torch.randn(1, INPUT_CHANNELS, one.frames, side, side, dtype=kind, device=device),
                torch.tensor([900.0], device=device),
                texts,
            )

    seconds = timed(call, device)
    return seconds, torch.cuda.max_memory_allocated(
        device
    ) / 1e9 if device.type == "cuda" else peak_gigabytes()


def random_network(
    config: dict, device: torch.device, streamed: bool, branches: bool
) -> WanTransformer3DModel:
    """The network with random weights, made on the device one by one; they lie in the machine's memory where
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
def measure_attention(one: Case, config: dict, device: torch.device, report: Report) -> None:
    voxel, frame, near = places(one)
    blocks, count = flex_attention.build_block_attention(voxel, frame, near, device), len(voxel)
    shape = count, config["num_attention_heads"], config["attention_head_dim"]
    query, key, value = (torch.randn(shape, dtype=torch.bfloat16, device=device) for _ in range(3))
    heads = [part.transpose(0, 1)[None] for part in (query, key, value)]
    row, near = torch.repeat_interleave(torch.arange(count), near.first.diff()), near.to(device)
    dense = partial(
        scaled_dot_product_attention, *heads, attn_mask=mask_of(count, row.to(device), near.index)
    )
    quick, slow = (timed(work, device) for work in (partial(blocks.attend, query, key, value), dense))
    rest = (
        timed(work, device)
        for work in (partial(near.attend, query, key, value), partial(scaled_dot_product_attention, *heads))
    )
    share = float(blocks.mask.kv_num_blocks.sum()) / blocks.mask.kv_num_blocks.numel() ** 2
    report.add(
        count,
        len(near.index) / count,
        100 * share,
        1e3 * quick,
        1e3 * slow,
        slow / quick,
        *(1e3 * seconds for seconds in rest),
    )


def mask_of(count: int, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(count, count, dtype=torch.bool, device=row.device)
    mask[row, column] = True
    return mask


def places(one: Case) -> tuple:
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
        for camera in orbit(one.views, 1.5, 35 / 32, one.size).cameras
    ]
    voxel, frame = gasa.compute_token_voxels(
        [position_image(buffer) for buffer in render(surface, cameras)], one.clips
    )
    return voxel, frame, gasa.find_neighbours(voxel, frame)


def neighbours(one: Case, device: torch.device) -> gasa.SparseAttention:
    found = places(one)
    return flex_attention.build_block_attention(*found, device) if device.type == "cuda" else found[2]


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the middle of a few after a first that does not count."""
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
