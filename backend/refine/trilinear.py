"""Trilinear interpolation of the cells' values at points of the surface."""

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from ..parallel import map_ranges
from .voxel_grid import VoxelGrid, find_cell

POINTS_PER_CHUNK = 1 << 17
"""Points that one core works on at a time."""


def interpolate_trilinear(grid: VoxelGrid, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(M, C) float32 at points (M, 3) in -0.5..0.5: trilinear mean of values (N, C) over the occupied cells
    among a point's eight nearest (as TRELLIS.2 reads its voxels); where none is occupied, the value of the
    nearest cell."""
    result, found = np.zeros((len(points), values.shape[1]), np.float32), np.empty(len(points), bool)
    values = np.ascontiguousarray(values, np.float32)

    def interpolate_range(first: int, end: int) -> None:
        _interpolate(
            grid.starts,
            grid.heights,
            grid.resolution,
            values,
            points[first:end],
            result[first:end],
            found[first:end],
        )

    map_ranges(interpolate_range, len(points), POINTS_PER_CHUNK)
    lost = np.flatnonzero(~found)
    if len(lost):
        tree = cKDTree(grid.cells + 0.5, balanced_tree=False, compact_nodes=False)
        result[lost] = values[tree.query((points[lost] + 0.5) * grid.resolution, workers=-1)[1]]
    return result


@njit(cache=True, nogil=True)
def _interpolate(starts, heights, resolution, values, points, result, found):
    """Writes result (M, C), which holds zeros, and found (M,): whether any of the eight cells is occupied."""
    for n in range(points.shape[0]):
        # The point in cells, where a cell's centre has integer coordinates.
        x, y = (points[n, 0] + 0.5) * resolution - 0.5, (points[n, 1] + 0.5) * resolution - 0.5
        z = (points[n, 2] + 0.5) * resolution - 0.5
        i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        total = 0.0
        for corner in range(8):
            a, b, c = i + (corner & 1), j + ((corner >> 1) & 1), k + (corner >> 2)
            if 0 <= a < resolution and 0 <= b < resolution:
                row = find_cell(starts, heights, a * resolution + b, c)
                if row >= 0:
                    weight = (1 - abs(x - a)) * (1 - abs(y - b)) * (1 - abs(z - c))
                    total += weight
                    for channel in range(values.shape[1]):
                        result[n, channel] += weight * values[row, channel]
        found[n] = total > 1e-6
        if found[n]:
            for channel in range(values.shape[1]):
                result[n, channel] /= total
