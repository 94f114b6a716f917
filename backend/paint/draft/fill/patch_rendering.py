"""Rendering of synthesised patches in the pixels of a view: at the reference's full resolution, however far
apart the samples are."""

from typing import NamedTuple

import numpy as np
from numba import njit

from .patchmatch import FASTMATH
from .samples import Samples
from .synthesis import Synthesis

BLEND_SIGMA = 0.45
"""Standard deviation in spacings over which patches are blended into each other."""

MIN_WEIGHT = 1e-4
"""Weight of a sample below which it is too far away for its patch to be read at a point."""


class CellGrid(NamedTuple):
    """Samples sorted into a grid of cells, for kernels.

    Attributes:
        size: cells along a side.
        order: (N,) int32 samples in the order of their cells, x major.
        starts: (size³ + 1,) int32, where in ``order`` each cell's samples begin.
    """

    size: int
    order: np.ndarray
    starts: np.ndarray


class PatchArrays(NamedTuple):
    """Patches of the samples, for kernels; see :class:`.synthesis.Synthesis` and
    :class:`.samples.Samples`."""

    points: np.ndarray
    normals: np.ndarray
    frames: np.ndarray
    nnf: np.ndarray
    colors: np.ndarray
    spacing: np.float32


class PixelArrays(NamedTuple):
    """Pixels that they are read from, for kernels; see :class:`.exemplar.Exemplar`."""

    colors: np.ndarray
    usable: np.ndarray
    jacobian: np.ndarray


class PatchRenderer:
    """Looks up the colours of a synthesis at points of the surface; many threads may do so at once."""

    def __init__(self, synthesis: Synthesis):
        samples, exemplar = synthesis.samples, synthesis.exemplar
        # Not a cached property: since Python 3.12 every thread that comes before the first is done would sort
        # anew.
        self._grid = build_cell_grid(samples)
        self._patches = PatchArrays(
            points=samples.points,
            normals=samples.normals,
            frames=samples.frames,
            nnf=synthesis.nnf,
            colors=synthesis.colors,
            spacing=np.float32(samples.spacing),
        )
        self._pixels = PixelArrays(exemplar.colors, exemplar.usable, exemplar.jacobian)

    def look_up(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """(M, 3) float32 sRGB 0..1 colours of points (M, 3) with normals (M, 3)."""
        result = np.empty((len(points), 3), np.float32)
        _render_patches(points, normals, self._patches, self._pixels, self._grid, result)
        return result


def build_cell_grid(samples: Samples) -> CellGrid:
    """The samples sorted into cells about one spacing wide."""
    size = round(1 / samples.spacing)
    cell = np.clip(((samples.points + 0.5) * size).astype(np.int64), 0, size - 1)
    key = (cell[:, 0] * size + cell[:, 1]) * size + cell[:, 2]
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(size**3 + 1))
    return CellGrid(size, order.astype(np.int32), starts.astype(np.int32))


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def _render_patches(points, normals, patches, pixels, grid, result):
    """Fills ``result`` (M, 3) with the colours of points (M, 3) with normals (M, 3)."""
    height, width = pixels.usable.shape
    size, order, starts = grid.size, grid.order, grid.starts
    nnf, colors, image, jacobian = patches.nnf, patches.colors, pixels.colors, pixels.jacobian
    falloff = np.float32(0.5) / (np.float32(BLEND_SIGMA) * patches.spacing) ** 2
    for n in range(points.shape[0]):
        cx, cy, cz = (
            int((points[n, 0] + 0.5) * size),
            int((points[n, 1] + 0.5) * size),
            int((points[n, 2] + 0.5) * size),
        )
        # Sums of what patches show here, and of the samples' own colours where none can be read.
        total, own_total = np.float32(0), np.float32(1e-20)
        red, green, blue = np.float32(0), np.float32(0), np.float32(0)
        own_red, own_green, own_blue = np.float32(0), np.float32(0), np.float32(0)
        # Samples of the 3 x 3 x 3 cells around the point; cells along z follow each other.
        for x in range(max(cx - 1, 0), min(cx + 2, size)):
            for y in range(max(cy - 1, 0), min(cy + 2, size)):
                for q in range(
                    starts[(x * size + y) * size + max(cz - 1, 0)],
                    starts[(x * size + y) * size + min(cz + 2, size)],
                ):
                    s = order[q]
                    # The point in the sample's frame, and the sample's weight.
                    right, up, length, agree = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                    for axis in range(3):
                        step = points[n, axis] - patches.points[s, axis]
                        right += step * patches.frames[s, 0, axis]
                        up += step * patches.frames[s, 1, axis]
                        length += step * step
                        agree += normals[n, axis] * patches.normals[s, axis]
                    weight = np.exp(-falloff * length) * max(agree, np.float32(1e-3)) + np.float32(1e-12)
                    own_total += weight
                    own_red += weight * colors[s, 0]
                    own_green += weight * colors[s, 1]
                    own_blue += weight * colors[s, 2]
                    if weight < np.float32(MIN_WEIGHT):
                        continue
                    # A sample without a patch shows its constant colour.
                    if not np.isfinite(nnf[s, 0]):
                        red += weight * colors[s, 0]
                        green += weight * colors[s, 1]
                        blue += weight * colors[s, 2]
                        total += weight
                        continue
                    # Where its patch reads the exemplar for this point.
                    column, row = int(nnf[s, 0]), int(nnf[s, 1])
                    if not (0 <= column < width and 0 <= row < height):
                        continue
                    c, d = np.cos(nnf[s, 2]), np.sin(nnf[s, 2])
                    r, u = c * right - d * up, d * right + c * up
                    i = nnf[s, 0] + jacobian[row, column, 0, 0] * r + jacobian[row, column, 0, 1] * u
                    j = nnf[s, 1] + jacobian[row, column, 1, 0] * r + jacobian[row, column, 1, 1] * u
                    if not (0.5 <= i < width - 0.5 and 0.5 <= j < height - 0.5):
                        continue
                    if not pixels.usable[int(j), int(i)]:
                        continue
                    # Bilinear read between pixel centres.
                    i, j = i - np.float32(0.5), j - np.float32(0.5)
                    left, top = int(i), int(j)
                    fx, fy = i - left, j - top
                    red += weight * _bilinear(image, top, left, fx, fy, 0)
                    green += weight * _bilinear(image, top, left, fx, fy, 1)
                    blue += weight * _bilinear(image, top, left, fx, fy, 2)
                    total += weight
        if total > 0:
            result[n, 0], result[n, 1], result[n, 2] = red / total, green / total, blue / total
        else:
            result[n, 0] = own_red / own_total
            result[n, 1] = own_green / own_total
            result[n, 2] = own_blue / own_total


@njit(cache=True, nogil=True, fastmath=FASTMATH, inline="always")
def _bilinear(image, top, left, fx, fy, channel):
    """One channel of an image (H, W, 3), read ``fx`` and ``fy`` pixels to the right of and below a pixel."""
    wa, wb, wc, wd = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    return (
        wa * image[top, left, channel]
        + wb * image[top, left + 1, channel]
        + wc * image[top + 1, left, channel]
        + wd * image[top + 1, left + 1, channel]
    )
