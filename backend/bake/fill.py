"""Colours for the surface that no view sees."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..neighbors import nearest_neighbors

NORMAL_REACH = 0.1
"""Distance that a difference of unit normals of 1 counts as, in units of the mesh's longest side: across a
wall thinner than twice this, the wall's own side is nearer than the other. A constant of the compiled
loops."""

RIM_CELLS = 64
"""Cells along the grid in which seen places are close to unseen ones: in the same cell or one that shares a
face. A constant of the compiled loops."""


@dataclass(frozen=True)
class FillConfig:
    """From which seen places, the exemplars, unseen ones are coloured."""

    neighbors: int = 8
    """Exemplars that an unseen place is mixed from."""

    sparse: int = 60_000
    """Exemplars taken from all that is seen, at most."""

    dense: int = 240_000
    """Exemplars taken from close to the unseen, at most: there detail has to continue."""

    group_cells: int = 512
    """Cells along the grid in which exemplars are searched once per cell."""


def fill_unseen(
    points: np.ndarray,
    normals: np.ndarray,
    colors: np.ndarray,
    seen: np.ndarray,
    seed: int,
    config: FillConfig = FillConfig(),
) -> np.ndarray:
    """Unseen places take a weighted mean of the nearest seen ones, by distance and agreement of normals
    (AssetGen 7.4).

    Args:
        points: (N, 3) float32 in -0.5..0.5, texels or voxels.
        normals: (N, 3) float32 unit.
        colors: (N, C) float32; any value where unseen.
        seen: (N,) bool.
        seed: of the random choice of exemplars.
        config: numbers of exemplars.

    Returns:
        (N, C) float32: ``colors`` where seen; 128, mid grey, everywhere if nothing is.
    """
    if not seen.any():
        return np.full_like(colors, 128)
    unseen = np.flatnonzero(~seen)
    if not len(unseen):
        return colors
    exemplars = _exemplars(points, seen, unseen, np.random.default_rng(seed), config)

    # A metric of position and normal finds the wall's own side even where the other side's points are the
    # nearest in space.
    def feature(index: np.ndarray) -> np.ndarray:
        return np.hstack([points[index], NORMAL_REACH * normals[index]])

    # One query per group, from its first member.
    member, group = _groups(points[unseen], normals[unseen], config.group_cells)
    _, near = nearest_neighbors(feature(exemplars), feature(unseen[member]), config.neighbors)
    filled = colors.copy()
    _mix_colors(unseen, exemplars[near], group, points, normals, colors, filled)
    return filled


def _groups(points: np.ndarray, normals: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups of places that share a cell and a main direction of the normal: they share the exemplars they
    are mixed from, each with its own weights.

    Returns:
        The index of one member per group, and the group (N,) of every place.
    """
    cell = np.clip((points + 0.5) * cells, 0, cells - 1).astype(np.int64)
    main = np.abs(normals).argmax(axis=1)
    direction = 2 * main + (normals[np.arange(len(normals)), main] > 0)
    key = ((cell[:, 0] * cells + cell[:, 1]) * cells + cell[:, 2]) * 6 + direction
    return np.unique(key, return_index=True, return_inverse=True)[1:]


def _exemplars(points, seen, unseen, random, config) -> np.ndarray:
    """Indices of seen places: a sample of all, and a denser one of those close to unseen ones."""
    close = np.zeros((RIM_CELLS + 2,) * 3, np.bool_)
    _mark_cells(points, unseen, close)
    rim = _find_seen_in_cells(points, seen, close)
    known = np.flatnonzero(seen)
    picks = [
        some if len(some) <= limit else some[random.integers(0, len(some), limit)]
        for some, limit in ((known, config.sparse), (rim, config.dense))
    ]
    return np.unique(np.concatenate(picks))


@njit(cache=True, nogil=True)
def _cell(points, n):
    """The cell of a place, counted from 1: a rim of one cell is left around the grid."""
    last = RIM_CELLS - 1
    x = min(max(int((points[n, 0] + 0.5) * RIM_CELLS), 0), last)
    y = min(max(int((points[n, 1] + 0.5) * RIM_CELLS), 0), last)
    return x + 1, y + 1, min(max(int((points[n, 2] + 0.5) * RIM_CELLS), 0), last) + 1


@njit(cache=True, nogil=True)
def _mark_cells(points, places, close):
    """Marks the cells of places (M,), and those that share a face with them."""
    for n in places:
        x, y, z = _cell(points, n)
        close[x, y, z] = close[x - 1, y, z] = close[x + 1, y, z] = True
        close[x, y - 1, z] = close[x, y + 1, z] = close[x, y, z - 1] = close[x, y, z + 1] = True


@njit(cache=True, nogil=True)
def _find_seen_in_cells(points, seen, close):
    """(M,) int64 indices of the seen places in marked cells."""
    result = np.empty(seen.sum(), np.int64)
    count = 0
    for n in range(seen.size):
        if seen[n] and close[_cell(points, n)]:
            result[count] = n
            count += 1
    return result[:count]


@njit(cache=True, nogil=True)
def _mix_colors(places, near, group, points, normals, colors, filled):
    """Writes to ``filled`` the mean of each place's exemplars ``near[group]`` (G, K), weighted by agreement
    of normals over squared distance."""
    for i in range(places.size):
        n = places[i]
        filled[n] = 0
        total = np.float32(0)
        for m in near[group[i]]:
            agreement, distance = np.float32(0), np.float32(0)
            for axis in range(3):
                agreement += normals[n, axis] * normals[m, axis]
                distance += (points[n, axis] - points[m, axis]) ** 2
            distance += np.float32(2 * NORMAL_REACH**2) * (1 - agreement)
            weight = max(agreement, np.float32(0.01)) / (distance + np.float32(1e-7))
            total += weight
            for c in range(colors.shape[1]):
                filled[n, c] += weight * colors[m, c]
        filled[n] /= total
