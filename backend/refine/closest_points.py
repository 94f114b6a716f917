"""The point of the surface closest to the centre of each cell."""

from typing import NamedTuple

import numpy as np
from numba import njit

from ..parallel import map_parallel
from .voxel_grid import VoxelGrid

SEARCH_RADIUS = 0.875
"""Distance from a cell's centre, in cells, within which the surface is searched for; an occupied cell has a
crossed edge, whose farthest point is sqrt(3) / 2 = 0.866 from the centre."""

SLABS_PER_AXIS = 64
"""Number of slabs along x into which the grid is cut; one core works on a slab."""


class Closest(NamedTuple):
    """The closest point found so far of each of N cells.

    Attributes:
        face: (N,) int32.
        barycentric: (N, 2) float32, weights of the triangle's first two corners.
        squared_distance: (N,) float32, in cells.
    """

    face: np.ndarray
    barycentric: np.ndarray
    squared_distance: np.ndarray


def closest_points(grid: VoxelGrid, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The closest point of the surface to each cell's centre.

    Args:
        grid: N cells, each with an edge that the surface crosses.
        vertices: (V, 3) float32 in -0.5..0.5.
        faces: (F, 3) int32.

    Returns:
        ``face`` (N,) int32, the first of equally close ones; and ``barycentric`` (N, 2) float32, weights of
        its first two corners.
    """
    # Triangles in cells, (F, 3, 3), and their extent along x.
    corners = ((vertices.astype(np.float64) + 0.5) * grid.resolution)[faces]
    low, high = (end(corners[..., 0], axis=1) for end in (np.min, np.max))
    closest = Closest(
        face=np.zeros(len(grid), np.int32),
        barycentric=np.zeros((len(grid), 2), np.float32),
        squared_distance=np.full(len(grid), SEARCH_RADIUS**2, np.float32),
    )
    bounds = np.unique(np.linspace(0, grid.resolution, SLABS_PER_AXIS + 1).astype(np.int64))

    def project_slab(first: int, last: int) -> None:
        inside = np.flatnonzero((low <= last + 1) & (high >= first - 1))
        _project(corners[inside], inside, grid.starts, grid.heights, grid.resolution, first, last, closest)

    # Slabs write to different cells, so they need no lock.
    map_parallel(project_slab, bounds[:-1], bounds[1:])
    return closest.face, closest.barycentric


@njit(cache=True, nogil=True)
def _project(corners, faces, starts, heights, resolution, first, last, closest):
    """Visits the cells near each triangle, column by column along z, and keeps the closest point of each.

    Args:
        corners: (F, 3, 3) float64 triangles, in cells.
        faces: (F,) int64, their numbers in the mesh.
        starts, heights, resolution: of the :class:`VoxelGrid`.
        first, last: the slab, from ``first`` to before ``last`` along x.
        closest: of all cells; updated.
    """
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for f in range(len(corners)):
        a, b, c = corners[f, 0], corners[f, 1], corners[f, 2]
        # The box of cells within the search radius of the triangle.
        for axis in range(3):
            low[axis] = max(
                int(np.floor(min(a[axis], b[axis], c[axis]) - SEARCH_RADIUS)), 0 if axis else first
            )
            high[axis] = min(
                int(np.ceil(max(a[axis], b[axis], c[axis]) + SEARCH_RADIUS)), resolution if axis else last
            )
        n = np.cross(b - a, c - a)
        length = np.sqrt((n * n).sum())
        if length == 0:
            continue
        for x in range(low[0], high[0]):
            for y in range(low[1], high[1]):
                column = x * resolution + y
                # The column's part of the distance to the triangle's plane, which discards most cells.
                beside = (n[0] * (x + 0.5 - a[0]) + n[1] * (y + 0.5 - a[1])) / length
                for row in range(starts[column], starts[column + 1]):
                    z = heights[row]
                    if z < low[2] or z >= high[2]:
                        continue
                    if abs(beside + n[2] * (z + 0.5 - a[2]) / length) > SEARCH_RADIUS:
                        continue
                    u, v, squared = _closest_in_triangle(a, b, c, x + 0.5, y + 0.5, z + 0.5)
                    if squared < closest.squared_distance[row]:
                        closest.squared_distance[row], closest.face[row] = squared, faces[f]
                        closest.barycentric[row, 0], closest.barycentric[row, 1] = u, v


@njit(cache=True, nogil=True)
def _closest_in_triangle(a, b, c, x, y, z):
    """Weights of a and b in the triangle's point closest to (x, y, z), and its squared distance (Ericson
    2005, section 5.1.5)."""
    # Dot products of the two edges from a with the vectors from a, b and c to the point.
    ab_a = ac_a = ab_b = ac_b = ab_c = ac_c = 0.0
    for axis, p in enumerate((x, y, z)):
        ab, ac = b[axis] - a[axis], c[axis] - a[axis]
        ab_a, ac_a = ab_a + ab * (p - a[axis]), ac_a + ac * (p - a[axis])
        ab_b, ac_b = ab_b + ab * (p - b[axis]), ac_b + ac * (p - b[axis])
        ab_c, ac_c = ab_c + ab * (p - c[axis]), ac_c + ac * (p - c[axis])
    area_a, area_b, area_c = ab_b * ac_c - ab_c * ac_b, ab_c * ac_a - ab_a * ac_c, ab_a * ac_b - ab_b * ac_a
    # The Voronoi region that the point is in: corners a, b, c, edges ab, ac, bc, or the inside.
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
