"""TRELLIS.2's networks at full size: seconds and memory of each step of a refinement.

    python -m benchmarks.trellis2 [encode step decode] [--voxels 230000] [--image 512] [--device cuda]
        [--dtype float16] [--json FILE]
    python -m benchmarks.trellis2 --cells cells.npy --image 1024

The weights are random and made on the device; time and memory do not depend on their values, only on the
voxels. These are a sphere's shell of about the given number, or the rows (N, 3) of a file. A figure has about
0.28 million at a resolution of 512 and 1.1 million at 1024; a ball that fills the grid has 1.2 and 4.9
million.

Measured are: the grid's levels, one of the two encoders (both are alike), one step of the flow with one image
(not the first, which computes the image's keys and values), and the decoder. On a GPU the first call of each
is not measured either. Memory is the GPU's peak; on a CPU it is the process's peak so far, so name one part
at a time there.
"""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from backend.device import best_device
from backend.refine.trellis2.autoencoder import Decoder, Encoder
from backend.refine.trellis2.flow import Flow
from backend.refine.trellis2.sparse import SparseLevel, build_levels

from .report import Report, parser, peak_gigabytes

COLUMNS = ["part", "device", "type", "voxels", "tokens", "image tokens", "s", "GB"]
PARTS = ["encode", "step", "decode"]
TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all, if none is named")
    options.add_argument("--voxels", type=int, default=230_000, help="number of voxels of the sphere's shell")
    options.add_argument("--cells", type=Path, metavar="NPY", help="voxels (N, 3) of a mesh instead")
    options.add_argument(
        "--image", type=int, default=512, choices=[512, 1024], help="side of the image in pixels"
    )
    options.add_argument("--device", type=torch.device, default=best_device())
    options.add_argument(
        "--dtype",
        choices=list(TYPES),
        help="instead of the published float16 and bfloat16, or float32 on a CPU",
    )
    chosen = options.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        options.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    cells = np.load(chosen.cells) if chosen.cells else shell(chosen.voxels)
    dtype = TYPES[chosen.dtype] if chosen.dtype else torch.float32 if chosen.device.type == "cpu" else None
    measure(cells, chosen.parts or PARTS, chosen.image, chosen.device, dtype, Report(COLUMNS, chosen.json))


@torch.no_grad()
def measure(
    cells: np.ndarray,
    parts: list[str],
    image: int,
    device: torch.device,
    dtype: torch.dtype | None,
    report: Report,
) -> None:
    """Reports a row for the levels and for each part; a dtype of None is the published one."""
    device_cells, image_tokens = torch.from_numpy(cells).to(device), 5 + (image // 16) ** 2
    levels: list[SparseLevel] = []

    def row(
        part: str, kind: torch.dtype | None, work: Callable[[], object], warm: bool = device.type == "cuda"
    ) -> None:
        seconds, gigabytes = measure_call(work, warm, device)
        name = str(kind).removeprefix("torch.") if kind else None
        report.add(
            part,
            str(device),
            name,
            len(cells),
            len(levels[-1]),
            image_tokens if part == "step" else None,
            seconds,
            gigabytes,
        )

    row("levels", None, lambda: levels.extend(build_levels(device_cells)), warm=False)
    if "encode" in parts:
        encoder = make_random(Encoder, dtype or torch.float16, device)
        features = torch.randn(len(cells), 6, device=device)
        row("encode", encoder.dtype, lambda: encoder(features, levels))
        del encoder
    if "step" in parts:
        flow = make_random(Flow, dtype or torch.bfloat16, device)
        condition = torch.randn(image_tokens, 1024, device=device)
        noisy, coords = torch.randn(len(levels[-1]), 64, device=device), levels[-1].coords
        row("step", flow.dtype, lambda: flow(noisy, 0.3, coords, condition), warm=True)
        del flow
    if "decode" in parts:
        decoder = make_random(Decoder, dtype or torch.float16, device)
        latents = torch.randn(len(levels[-1]), 32, device=device)
        row("decode", decoder.dtype, lambda: decoder(latents, levels))


def shell(voxels: int) -> np.ndarray:
    """(N, 3) int32 cells about as dense along a sphere as those of a mesh, 1.44 for each square of a cell's
    side."""
    radius = (voxels / (1.44 * 4 * np.pi)) ** 0.5
    side = int(2 * radius) + 4
    y, z = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    slices = []
    for x in range(side):
        distance = np.sqrt((x + 0.5 - side / 2) ** 2 + (y + 0.5 - side / 2) ** 2 + (z + 0.5 - side / 2) ** 2)
        near = np.argwhere(abs(distance - radius) < 0.72)
        slices.append(np.insert(near, 0, x, axis=1))
    return np.concatenate(slices).astype(np.int32)


def make_random(kind: type[nn.Module], dtype: torch.dtype, device: torch.device) -> nn.Module:
    """A network with small random weights, made on the device."""
    gc.collect()  # frees the network before
    with torch.device("meta"):
        network = kind(dtype=dtype)
    network = network.to_empty(device=device).requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(0, 0.02)
    return network


def measure_call(work: Callable[[], object], warm: bool, device: torch.device) -> tuple[float, float]:
    """Seconds of a call, after another that is not measured if ``warm``, and gigabytes at its peak."""
    if warm:
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter() - start, torch.cuda.max_memory_allocated(device) / 1e9
    return time.perf_counter() - start, peak_gigabytes()


if __name__ == "__main__":
    main()
