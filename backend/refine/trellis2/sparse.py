"""Sparse voxel grids: who neighbours whom at five scales, and the three operations that move features over
them.

Features are (n, C) tensors with a row for each occupied cell; there is no batch. See specs: trellis2, b.1 and
c.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import linear

SCALES = (1, 2, 4, 8, 16)
"""Of the levels: how many of the finest cells lie along the side of a cell."""

CHUNK = 1 << 28
"""Bytes that an operation may take at once for what lies between its input and its output."""


@dataclass(frozen=True)
class SparseLevel:
    """The occupied cells of one scale.

    Attributes:
        coords: (n, 3) int64; at the finest level in the order they were given, at all others lexicographic: x
            slowest, z fastest.
        neighbours: (n, 27) int32 row of the cell at coords + (i - 1, j - 1, k - 1) in column 9 i + 3 j + k,
            -1 where there is none.
        parent: (n,) int64 row of the cell of the next level that holds this one; None at the coarsest.
        child: (n,) int64 which of its parent's eight cells this is, x mod 2 + 2 (y mod 2) + 4 (z mod 2); None
            at the coarsest.
    """

    coords: torch.Tensor
    neighbours: torch.Tensor
    parent: torch.Tensor | None = None
    child: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def place(self) -> torch.Tensor:
        """(n,) int64 place of each cell among all children, there or not, of the next level's cells."""
        return self.parent * 8 + self.child


def build_levels(cells: np.ndarray | torch.Tensor) -> list[SparseLevel]:
    """The five levels over distinct cells (N, 3) of non-negative integers, finest first, on the device where
    the cells are."""
    coords, result = torch.as_tensor(cells).long(), []
    for _ in SCALES[1:]:
        parents, parent = _distinct(coords // 2)
        child = (coords % 2 * torch.tensor([1, 2, 4], device=coords.device)).sum(1)
        result.append(SparseLevel(coords, _neighbours(coords), parent, child))
        coords = parents
    return [*result, SparseLevel(coords, _neighbours(coords))]


def convolve(x: torch.Tensor, level: SparseLevel, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The submanifold convolution (n, Co): every cell sums over those of its 27 neighbours that exist.

    Gathers, multiplies and adds up one place of the kernel after the other, for a chunk of the rows. The sum
    is float32.

    Args:
        x: (n, Ci).
        level: of n cells.
        weight: (Co, 3, 3, 3, Ci), the kernel's axes in the order of the coordinates; not flipped.
        bias: (Co,).
    """
    outputs, inputs = len(weight), weight.shape[-1]
    result = x.new_empty(len(x), outputs)
    for rows in _chunks(len(x), inputs + outputs):
        near = level.neighbours[rows].T
        there = near >= 0
        sizes = there.sum(1).tolist()
        target, source = there.nonzero()[:, 1].split(sizes), near[there].split(sizes)
        total = bias.float().repeat(near.shape[1], 1)
        for place, matrix in enumerate(weight.flatten(1, 3).unbind(1)):
            total.index_add_(0, target[place], linear(x.index_select(0, source[place]), matrix).float())
        result[rows] = total
    return result


def space_to_channel(x: torch.Tensor, fine: SparseLevel, coarse: SparseLevel) -> torch.Tensor:
    """(n_coarse, 8 C), the children's features (n_fine, C) side by side, zero where there is no child."""
    return x.new_zeros(len(coarse) * 8, x.shape[1]).index_copy(0, fine.place, x).view(len(coarse), -1)


def channel_to_space(x: torch.Tensor, fine: SparseLevel) -> torch.Tensor:
    """(n_fine, C / 8), every child's part of its parent's features (n_coarse, C), in the children's own
    order."""
    return x.view(len(x) * 8, -1).index_select(0, fine.place)


def map_rows(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, width: int) -> torch.Tensor:
    """A function of rows (n, C) that works on each alone, applied to a chunk after the other.

    Args:
        function: gives (m, D) for (m, C).
        x: (n, C).
        width: channels of the widest tensor that it makes.
    """
    result = None
    for rows in _chunks(len(x), width):
        made = function(x[rows])
        if result is None:
            result = made.new_empty(len(x), made.shape[1])
        result[rows] = made
    return result


def _chunks(count: int, width: int) -> Iterator[slice]:
    """Slices of rows with so many channels at work: a float32 sum, float32 addends, and what they come of."""
    size = max(1, CHUNK // (16 * width))
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def _keys(coords: torch.Tensor, side: int) -> torch.Tensor:
    """(n,) int64, ascending in x, then y, then z; with a free cell beyond every side."""
    x, y, z = (coords + 1).unbind(1)
    return (x * side + y) * side + z


def _distinct(coords: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The distinct ones (m, 3), lexicographic, and which of them each is (n,)."""
    side = int(coords.max()) + 3
    keys, which = _keys(coords, side).unique(return_inverse=True)
    return torch.stack([keys // side**2, keys // side % side, keys % side], dim=1) - 1, which


def _neighbours(coords: torch.Tensor) -> torch.Tensor:
    """(n, 27) int32, see :class:`SparseLevel`. Half of the places are searched for; the others are the same pairs,
    seen from the neighbour."""
    side = int(coords.max()) + 3
    keys = _keys(coords, side)
    ascending, order = keys.sort()
    rows = torch.arange(len(coords), dtype=torch.int32, device=coords.device)
    result = torch.full((len(coords), 27), -1, dtype=torch.int32, device=coords.device)
    result[:, 13] = rows
    for place in range(13):
        i, j, k = place // 9, place // 3 % 3, place % 3
        wanted = keys + ((i - 1) * side + j - 1) * side + k - 1
        found = torch.searchsorted(ascending, wanted).clamp_(max=len(coords) - 1)
        there = ascending[found] == wanted
        other = order[found[there]]
        result[there, place] = other.int()
        result[other, 26 - place] = rows[there]
    return result
