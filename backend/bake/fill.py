"""Colours for the surface that no view sees."""

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

NORMAL_REACH = 0.1
"""How far apart opposite sides of the surface count as, in half units of the mesh's longest side: over a thin
wall, nearer than this, the wall's own side is preferred."""

NEIGHBORS = 8
"""Seen places that an unseen one is mixed from."""

SPARSE, DENSE = 60_000, 240_000
"""Seen places looked at: so many anywhere, and so many close to what is unseen, where detail has to go on."""

RIM_CELLS = 64
"""Close is in the same or a side-by-side cell of a grid this fine."""

GROUP_CELLS = 512
"""Sources are looked for once per cell of a grid this fine."""


def fill_unseen(
    points: np.ndarray, normals: np.ndarray, colors: np.ndarray, seen: np.ndarray, seed: int
) -> np.ndarray:
    """Unseen places take a mean of the nearest seen surface, by distance and agreement of normals (AssetGen
    7.4).

    Args:
        points: (N, 3) float32 in -0.5..0.5, texels or voxels.
        normals: (N, 3) float32 unit.
        colors: (N, C) float32; of no matter where unseen.
        seen: (N,) bool.
        seed: of the sample of seen places.

    Returns:
        (N, C) float32: ``colors`` where seen; 128, mid grey, everywhere if nothing is.
    """
    if not seen.any():
        return np.full_like(colors, 128)
    unseen = np.flatnonzero(~seen)
    if not len(unseen):
        return colors
    source = _sources(points, seen, unseen, np.random.default_rng(seed))
    # A metric of position and normal finds the wall's own side even where the other side's points are the
    # nearest in space.
    tree = cKDTree(np.hstack([points[source], NORMAL_REACH * normals[source]]))
    member, group = _groups(points[unseen], normals[unseen])
    asking = unseen[member]
    _, near = tree.query(
        np.hstack([points[asking], NORMAL_REACH * normals[asking]]), k=min(NEIGHBORS, len(source)), workers=-1
    )
    filled = colors.copy()
    _mix(unseen, source[near.reshape(len(asking), -1)], group, points, normals, colors, filled)
    return filled


def nearest_by_steps(edges: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N,) int64: breadth-first, the voxel whose colour or label flows to each one over shared sides (Ink3D
    3.3).

    Args:
        edges: (E, 2) int32 pairs of voxels that share a side.
        seen: (N,) bool; a seen voxel keeps its own.

    Returns:
        Indices of seen voxels, -1 where none can be reached.
    """
    source = np.where(seen, np.arange(len(seen)), -1)
    while True:
        reach = source[edges] >= 0
        frontier = edges[reach[:, 0] & ~reach[:, 1]], edges[reach[:, 1] & ~reach[:, 0]][:, ::-1]
        giver, taker = np.concatenate(frontier).T
        if not len(taker):
            return source
        source[taker] = source[giver]


def _groups(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places that share a fine cell and a main direction also share the sources they are mixed from, each
    with its own weights.

    Returns:
        The index of one member per group, and the group (N,) of every place.
    """
    cell = np.clip((points + 0.5) * GROUP_CELLS, 0, GROUP_CELLS - 1).astype(np.int64)
    main = np.abs(normals).argmax(axis=1)
    side = 2 * main + (normals[np.arange(len(normals)), main] > 0)
    key = ((cell[:, 0] * GROUP_CELLS + cell[:, 1]) * GROUP_CELLS + cell[:, 2]) * 6 + side
    return np.unique(key, return_index=True, return_inverse=True)[1:]


def _sources(points, seen, unseen, random) -> np.ndarray:
    """Indices of seen places: a sample of all, and a denser one of those close to what is unseen."""
    close = np.zeros((RIM_CELLS + 2,) * 3, np.bool_)
    _mark(points, unseen, close)
    rim = _marked(points, seen, close)
    known = np.flatnonzero(seen)
    picks = [
        some if len(some) <= limit else some[random.integers(0, len(some), limit)]
        for some, limit in ((known, SPARSE), (rim, DENSE))
    ]
    return np.unique(np.concatenate(picks))


@njit(cache=True, nogil=True)
def _cell(points, n):
    last = RIM_CELLS - 1
    x = min(max(int((points[n, 0] + 0.5) * RIM_CELLS), 0), last)
    y = min(max(int((points[n, 1] + 0.5) * RIM_CELLS), 0), last)
    return x + 1, y + 1, min(max(int((points[n, 2] + 0.5) * RIM_CELLS), 0), last) + 1


@njit(cache=True, nogil=True)
def _mark(points, places, close):
    for n in places:
        x, y, z = _cell(points, n)
        close[x, y, z] = close[x - 1, y, z] = close[x + 1, y, z] = True
        close[x, y - 1, z] = close[x, y + 1, z] = close[x, y, z - 1] = close[x, y, z + 1] = True


@njit(cache=True, nogil=True)
def _marked(points, seen, close):
    result = np.empty(seen.sum(), np.int64)
    count = 0
    for n in range(seen.size):
        if seen[n] and close[_cell(points, n)]:
            result[count] = n
            count += 1
    return result[:count]


@njit(cache=True, nogil=True)
def _mix(places, near, group, points, normals, colors, filled):
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
