"""A patchwork laid on the pixels of a view: at the picture's own resolution, however far apart the samples
are."""

import numpy as np
from numba import njit

from .patchmatch import LOOSE
from .samples import Samples
from .synthesis import Patchwork

SHARP = 0.45
"""Standard deviation in spacings over which pieces are blended into each other."""

FAINT = 1e-4
"""Weight of a sample that is too far away to be continued to a point."""


class Layer:
    """A patchwork that points can be looked up in, by many threads at once."""

    def __init__(self, patchwork: Patchwork):
        # Not a cached property: since Python 3.12 every thread that comes before the first is done would sort
        # anew.
        self.patchwork, self._cells = patchwork, in_cells(patchwork.samples)

    def look_up(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """(M, 3) float32 sRGB 0..1 colours of points (M, 3) with normals (M, 3)."""
        result = np.empty((len(points), 3), np.float32)
        s, w = self.patchwork.samples, self.patchwork
        count, order, starts = self._cells
        _lay(
            points,
            normals,
            s.points,
            s.normals,
            s.frames,
            w.maps,
            w.colors,
            w.source.colors,
            w.source.usable,
            w.source.steps,
            count,
            order,
            starts,
            np.float32(s.spacing),
            result,
        )
        return result


def in_cells(samples: Samples) -> tuple[int, np.ndarray, np.ndarray]:
    """Cells along a side, the samples (N,) int32 in the order of their cells, and where each cell's begin,
    int32."""
    count = round(1 / samples.spacing)
    cell = np.clip(((samples.points + 0.5) * count).astype(np.int64), 0, count - 1)
    key = (cell[:, 0] * count + cell[:, 1]) * count + cell[:, 2]
    order = np.argsort(key, kind="stable")
    return (
        count,
        order.astype(np.int32),
        np.searchsorted(key[order], np.arange(count**3 + 1)).astype(np.int32),
    )


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _lay(
    points,
    normals,
    places,
    directions,
    frames,
    maps,
    colors,
    image,
    usable,
    steps,
    count,
    order,
    starts,
    spacing,
    result,
):
    height, width = usable.shape
    sharp = np.float32(0.5) / (np.float32(SHARP) * spacing) ** 2
    for n in range(points.shape[0]):
        cx, cy, cz = (
            int((points[n, 0] + 0.5) * count),
            int((points[n, 1] + 0.5) * count),
            int((points[n, 2] + 0.5) * count),
        )
        total, rest = np.float32(0), np.float32(1e-20)
        red, green, blue = np.float32(0), np.float32(0), np.float32(0)
        plain_red, plain_green, plain_blue = np.float32(0), np.float32(0), np.float32(0)
        for x in range(max(cx - 1, 0), min(cx + 2, count)):
            for y in range(max(cy - 1, 0), min(cy + 2, count)):
                for q in range(
                    starts[(x * count + y) * count + max(cz - 1, 0)],
                    starts[(x * count + y) * count + min(cz + 2, count)],
                ):
                    s = order[q]
                    right, up, length, agree = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                    for axis in range(3):
                        step = points[n, axis] - places[s, axis]
                        right += step * frames[s, 0, axis]
                        up += step * frames[s, 1, axis]
                        length += step * step
                        agree += normals[n, axis] * directions[s, axis]
                    weight = np.exp(-sharp * length) * max(agree, np.float32(1e-3)) + np.float32(1e-12)
                    rest += weight
                    plain_red += weight * colors[s, 0]
                    plain_green += weight * colors[s, 1]
                    plain_blue += weight * colors[s, 2]
                    if weight < np.float32(FAINT):
                        continue
                    if not np.isfinite(maps[s, 0]):
                        red += weight * colors[s, 0]
                        green += weight * colors[s, 1]
                        blue += weight * colors[s, 2]
                        total += weight
                        continue
                    column, row = int(maps[s, 0]), int(maps[s, 1])
                    if not (0 <= column < width and 0 <= row < height):
                        continue
                    c, d = np.cos(maps[s, 2]), np.sin(maps[s, 2])
                    r, u = c * right - d * up, d * right + c * up
                    i = maps[s, 0] + steps[row, column, 0, 0] * r + steps[row, column, 0, 1] * u
                    j = maps[s, 1] + steps[row, column, 1, 0] * r + steps[row, column, 1, 1] * u
                    if not (0.5 <= i < width - 0.5 and 0.5 <= j < height - 0.5) or not usable[int(j), int(i)]:
                        continue
                    i, j = i - np.float32(0.5), j - np.float32(0.5)
                    left, top = int(i), int(j)
                    fx, fy = i - left, j - top
                    wa, wb, wc, wd = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
                    red += weight * (
                        wa * image[top, left, 0]
                        + wb * image[top, left + 1, 0]
                        + wc * image[top + 1, left, 0]
                        + wd * image[top + 1, left + 1, 0]
                    )
                    green += weight * (
                        wa * image[top, left, 1]
                        + wb * image[top, left + 1, 1]
                        + wc * image[top + 1, left, 1]
                        + wd * image[top + 1, left + 1, 1]
                    )
                    blue += weight * (
                        wa * image[top, left, 2]
                        + wb * image[top, left + 1, 2]
                        + wc * image[top + 1, left, 2]
                        + wd * image[top + 1, left + 1, 2]
                    )
                    total += weight
        if total > 0:
            result[n, 0], result[n, 1], result[n, 2] = red / total, green / total, blue / total
        else:
            result[n, 0], result[n, 1], result[n, 2] = plain_red / rest, plain_green / rest, plain_blue / rest
