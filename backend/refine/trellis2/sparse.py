"""Sparse voxel grids: the neighbours of every cell at five resolution levels, and the three operations that
move features over them.

Features are (n, C) tensors with a row for each occupied cell; there is no batch. See
docs/models/trellis2.md#sparse-convolution-and-layer-norms and #moving-between-scales.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import linear

LEVEL_SCALES = (1, 2, 4, 8, 16)
"""Side of a cell of each level, in cells of the finest."""

CHUNK_BYTES = 1 << 28
"""Bytes that an operation may take at once for intermediate tensors."""

CENTRE_TAP = 13
"""Column of a cell itself among its 27 neighbours."""


@dataclass(frozen=True)
class SparseLevel:
    """The occupied cells of one resolution level.

    Attributes:
        coords: (n, 3) int64; in the given order at the finest level, else lexicographic: x slowest, z
            fastest.
        neighbours: (n, 27) int32 row of the cell at coords + (i - 1, j - 1, k - 1) in column 9 i + 3 j + k,
            -1 where there is none.
        parent: (n,) int64 row of the cell of the next coarser level that contains this one; None at the
            coarsest.
        child: (n,) int64 number of this cell among its parent's eight, x mod 2 + 2 (y mod 2) + 4 (z mod 2);
            None at the coarsest.
    """

    coords: torch.Tensor
    neighbours: torch.Tensor
    parent: torch.Tensor | None = None
    child: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def child_slot(self) -> torch.Tensor:
        """(n,) int64 row of each cell among all children, occupied or not, of the next coarser level."""
        return self.parent * 8 + self.child


def build_levels(cells: np.ndarray | torch.Tensor) -> list[SparseLevel]:
    """The five levels over distinct cells (N, 3) of non-negative integers, finest first, on the cells' own
    device."""
    coords, result = torch.as_tensor(cells).long(), []
    for _ in LEVEL_SCALES[1:]:
        parents, parent = _unique_cells(coords // 2)
        child = (coords % 2 * torch.tensor([1, 2, 4], device=coords.device)).sum(1)
        result.append(SparseLevel(coords, _find_neighbours(coords), parent, child))
        coords = parents
    return [*result, SparseLevel(coords, _find_neighbours(coords))]


def convolve(x: torch.Tensor, level: SparseLevel, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Submanifold convolution (n, Co): every cell sums over those of its 27 neighbours that exist.

    Gathers, multiplies and accumulates one tap of the kernel after the other, for a chunk of rows at a time.
    The sum is float32.

    Args:
        x: (n, Ci).
        level: of n cells.
        weight: (Co, 3, 3, 3, Ci), the kernel's axes in the order of the coordinates; not flipped.
        bias: (Co,).
    """
    outputs, inputs = len(weight), weight.shape[-1]
    result = x.new_empty(len(x), outputs)
    for rows in _chunks(len(x), inputs + outputs):
        near = level.neighbours[rows].T  # (27, rows)
        exists = near >= 0
        sizes = exists.sum(1).tolist()
        # Per tap: which rows of the chunk have this neighbour, and which row of x it is.
        scatter_rows, gather_rows = exists.nonzero()[:, 1].split(sizes), near[exists].split(sizes)
        total = bias.float().repeat(near.shape[1], 1)
        # (Co, 3, 3, 3, Ci) -> 27 times (Co, Ci)
        for tap, matrix in enumerate(weight.flatten(1, 3).unbind(1)):
            total.index_add_(
                0, scatter_rows[tap], linear(x.index_select(0, gather_rows[tap]), matrix).float()
            )
        result[rows] = total
    return result


def space_to_channel(x: torch.Tensor, fine: SparseLevel, coarse: SparseLevel) -> torch.Tensor:
    """(n_coarse, 8 C), the children's features (n_fine, C) side by side, zero where there is no child."""
    children = x.new_zeros(len(coarse) * 8, x.shape[1]).index_copy(0, fine.child_slot, x)
    return children.view(len(coarse), -1)  # (8 n_coarse, C) -> (n_coarse, 8 C)


def channel_to_space(x: torch.Tensor, fine: SparseLevel) -> torch.Tensor:
    """(n_fine, C / 8), every child's eighth of its parent's features (n_coarse, C), in the children's own
    order."""
    return x.view(len(x) * 8, -1).index_select(0, fine.child_slot)  # (n_coarse, C) -> (8 n_coarse, C / 8)


def map_rows(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, width: int) -> torch.Tensor:
    """Applies a function that treats every row (n, C) alone to one chunk of rows after the other, which
    bounds its memory.

    Args:
        function: maps (m, C) to (m, D).
        x: (n, C).
        width: channels of the widest tensor inside the function.
    """
    result = None
    for rows in _chunks(len(x), width):
        output = function(x[rows])
        if result is None:
            result = output.new_empty(len(x), output.shape[1])
        result[rows] = output
    return result


def _chunks(count: int, width: int) -> Iterator[slice]:
    """Slices of rows for an operation with ``width`` channels; 16 bytes a channel cover a float32 sum,
    float32 addends and their inputs."""
    size = max(1, CHUNK_BYTES // (16 * width))
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def _linear_keys(coords: torch.Tensor, size: int) -> torch.Tensor:
    """(n,) int64 linear index in a grid of ``size`` cells a side, ascending in x, then y, then z. The margin
    of one cell on every side keeps keys of neighbours outside of the grid distinct."""
    x, y, z = (coords + 1).unbind(1)
    return (x * size + y) * size + z


def _unique_cells(coords: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The distinct cells (m, 3), lexicographic, and the row of each given one among them (n,)."""
    size = int(coords.max()) + 3
    keys, inverse = _linear_keys(coords, size).unique(return_inverse=True)
    return torch.stack([keys // size**2, keys // size % size, keys % size], dim=1) - 1, inverse


def _find_neighbours(coords: torch.Tensor) -> torch.Tensor:
    """(n, 27) int32, see :class:`SparseLevel`. Half of the taps are searched; the other half are the same
    pairs, seen from the neighbour."""
    size = int(coords.max()) + 3
    keys = _linear_keys(coords, size)
    ascending, order = keys.sort()
    rows = torch.arange(len(coords), dtype=torch.int32, device=coords.device)
    result = torch.full((len(coords), 27), -1, dtype=torch.int32, device=coords.device)
    result[:, CENTRE_TAP] = rows
    for tap in range(CENTRE_TAP):
        i, j, k = tap // 9, tap // 3 % 3, tap % 3
        neighbour_keys = keys + ((i - 1) * size + j - 1) * size + k - 1
        found = torch.searchsorted(ascending, neighbour_keys).clamp_(max=len(coords) - 1)
        exists = ascending[found] == neighbour_keys
        other = order[found[exists]]
        result[exists, tap] = other.int()
        result[other, 26 - tap] = rows[exists]
    return result
