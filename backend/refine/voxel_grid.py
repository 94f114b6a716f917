"""A sparse voxel grid whose cells are found by column: along z a surface occupies only a few of a thousand
cells."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit


@dataclass(frozen=True)
class VoxelGrid:
    """Occupied cells of a cubic grid over the mesh's normalised box, -0.5 to 0.5, in ascending order of x,
    then y, then z.

    Attributes:
        cells: (N, 3) int32 cell indices.
        resolution: cells along each side.
    """

    cells: np.ndarray
    resolution: int

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def heights(self) -> np.ndarray:
        """(N,) int32: z of each cell."""
        return np.ascontiguousarray(self.cells[:, 2])

    @cached_property
    def starts(self) -> np.ndarray:
        """(R * R + 1,) int64: row of the first cell of each column x R + y."""
        return column_starts(
            self.cells[:, 0].astype(np.int64) * self.resolution + self.cells[:, 1], self.resolution**2
        )


def column_starts(column: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,) int64: row of the first cell of each of ``count`` columns, among cells whose columns (N,)
    ascend."""
    return np.concatenate([[0], np.cumsum(np.bincount(column, minlength=count))])


@njit(cache=True, nogil=True)
def find_cell(starts, heights, column, height):
    """Row of the cell at a height of a column, by bisection; -1 if it is not occupied."""
    low, high = starts[column], starts[column + 1]
    while low < high:
        middle = (low + high) // 2
        if heights[middle] < height:
            low = middle + 1
        else:
            high = middle
    return low if low < starts[column + 1] and heights[low] == height else -1
