"""The surface's point that lies nearest to the centre of each cell."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from .voxel_grid import VoxelGrid

REACH = 0.875
"""In cells, how far from a centre the surface is looked for: an edge of a cell lies no farther than sqrt(3) /
2 from its centre."""

SLABS = 64
"""That the grid is cut into along x; a core works on one at a time."""


def closest_points(grid: VoxelGrid, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where on the surface each cell's centre projects to.

    Args:
        grid: cells with an edge that the surface crosses.
        vertices: (V, 3) float32 in -0.5..0.5.
        faces: (F, 3) int32.

    Returns:
        ``face`` (N,) int32, of equally near ones the first; and ``barycentric`` (N, 2) float32, weights of
        its first two corners.
    """
    corners = ((vertices.astype(np.float64) + 0.5) * grid.resolution)[faces]
    low, high = (end(corners[..., 0], axis=1) for end in (np.min, np.max))
    nearest, barycentric = np.zeros(len(grid), np.int32), np.zeros((len(grid), 2), np.float32)
    distance = np.full(len(grid), REACH**2, np.float32)
    bounds = np.unique(np.linspace(0, grid.resolution, SLABS + 1).astype(np.int64))

    def slab(first: int, last: int) -> None:
        inside = np.flatnonzero((low <= last + 1) & (high >= first - 1))
        _project(
            corners[inside],
            inside,
            grid.starts,
            grid.heights,
            grid.resolution,
            first,
            last,
            nearest,
            barycentric,
            distance,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(slab, bounds[:-1], bounds[1:]))
    return nearest, barycentric


@njit(cache=True, nogil=True)
def _project(corners, numbers, starts, heights, resolution, first, last, nearest, barycentric, distance):
    """Walks the cells near each triangle, column by column along z, and keeps for each cell the nearest."""
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for f in range(len(corners)):
        a, b, c = corners[f, 0], corners[f, 1], corners[f, 2]
        for axis in range(3):
            low[axis] = max(int(np.floor(min(a[axis], b[axis], c[axis]) - REACH)), 0 if axis else first)
            high[axis] = min(
                int(np.ceil(max(a[axis], b[axis], c[axis]) + REACH)), resolution if axis else last
            )
        n = np.cross(b - a, c - a)
        length = np.sqrt((n * n).sum())
        if length == 0:
            continue
        for x in range(low[0], high[0]):
            for y in range(low[1], high[1]):
                column = x * resolution + y
                beside = (n[0] * (x + 0.5 - a[0]) + n[1] * (y + 0.5 - a[1])) / length
                for row in range(starts[column], starts[column + 1]):
                    z = heights[row]
                    if z < low[2] or z >= high[2] or abs(beside + n[2] * (z + 0.5 - a[2]) / length) > REACH:
                        continue
                    u, v, squared = _closest(a, b, c, x + 0.5, y + 0.5, z + 0.5)
                    if squared < distance[row]:
                        distance[row], nearest[row] = squared, numbers[f]
                        barycentric[row, 0], barycentric[row, 1] = u, v


@njit(cache=True, nogil=True)
def _closest(a, b, c, x, y, z):
    """Weights of a and b in the triangle's point nearest to (x, y, z), and its squared distance (Ericson
    2005, section 5.1.5)."""
    ab_a = ac_a = ab_b = ac_b = ab_c = ac_c = 0.0
    for axis, p in enumerate((x, y, z)):
        ab, ac = b[axis] - a[axis], c[axis] - a[axis]
        ab_a, ac_a = ab_a + ab * (p - a[axis]), ac_a + ac * (p - a[axis])
        ab_b, ac_b = ab_b + ab * (p - b[axis]), ac_b + ac * (p - b[axis])
        ab_c, ac_c = ab_c + ab * (p - c[axis]), ac_c + ac * (p - c[axis])
    area_a, area_b, area_c = ab_b * ac_c - ab_c * ac_b, ab_c * ac_a - ab_a * ac_c, ab_a * ac_b - ab_b * ac_a
    if ab_a <= 0 and ac_a <= 0:
        u, v = 1.0, 0.0
    elif ab_b >= 0 and ac_b <= ab_b:
        u, v = 0.0, 1.0
    elif ac_c >= 0 and ab_c <= ac_c:
        u, v = 0.0, 0.0
    elif area_c <= 0 and ab_a >= 0 and ab_b <= 0:
        v = ab_a / (ab_a - ab_b)
        u = 1 - v
    elif area_b <= 0 and ac_a >= 0 and ac_c <= 0:
        u, v = 1 - ac_a / (ac_a - ac_c), 0.0
    elif area_a <= 0 and ac_b >= ab_b and ab_c >= ac_c:
        u, v = 0.0, 1 - (ac_b - ab_b) / ((ac_b - ab_b) + (ab_c - ac_c))
    else:
        total = area_a + area_b + area_c
        u, v = area_a / total, area_b / total
    squared = 0.0
    for axis, p in enumerate((x, y, z)):
        squared += (u * a[axis] + v * b[axis] + (1 - u - v) * c[axis] - p) ** 2
    return u, v, squared
