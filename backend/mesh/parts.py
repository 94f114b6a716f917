"""Cutting a mesh into parts that are small enough for xatlas, with few and smooth cuts."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .edges import components, half_lengths, twins

PART_FACES = 2500
"""Triangles per part: xatlas is fast on few, and charts that a part's border cuts are joined again."""

SMALLEST_PIECE = 100
"""Triangles: a piece that a cut leaves on the wrong side of it joins the other side when it is smaller."""

SMOOTHING_ROUNDS = 4


def split(vertices: np.ndarray, faces: np.ndarray, polygons: np.ndarray) -> list[np.ndarray]:
    """Face indices per part, polygons kept whole.

    Recursive bisection at the median of the longest side; connected components that fit into a part are never cut. The zigzag of a
    cut is smoothed, because every tooth of it would become a chart.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) integers.
        polygons: (F,) integers.
    """
    _, polygon = np.unique(polygons, return_inverse=True)
    part = _bisect(vertices[faces].mean(axis=1, dtype=np.float64), _uncut(faces, polygon))
    if part.max() > 0:
        pairs, length = _neighbours(vertices, faces, polygon)
        of_polygon = np.zeros(polygon.max() + 1, np.int64)
        of_polygon[polygon] = part
        for _ in range(SMOOTHING_ROUNDS):
            of_polygon = _without_strays(_smoothed(of_polygon, pairs, length), pairs, length, np.bincount(polygon))
        part = of_polygon[polygon]
    order = np.argsort(part, kind="stable")
    return [piece for piece in np.split(order, np.cumsum(np.bincount(part))[:-1]) if len(piece)]


def _uncut(faces, polygon):
    """(F,) what may not be cut: whole components where they fit, else polygons."""
    component = components(faces, polygon)
    small = np.bincount(component)[component] <= PART_FACES
    return np.unique(np.where(small, component, len(faces) + polygon), return_inverse=True)[1]


def _bisect(centres, atom):
    """(F,) part numbers."""
    count = np.bincount(atom)
    centres = np.stack([np.bincount(atom, centres[:, axis]) / count for axis in range(3)], axis=1)[atom]
    result, parts, waiting = np.zeros(len(atom), np.int64), 0, [np.arange(len(atom))]
    while waiting:
        part = waiting.pop()
        place = centres[part]
        axis = int(np.argmax(np.ptp(place, axis=0)))
        upper = place[:, axis] > np.median(place[:, axis])
        if len(part) <= PART_FACES or not upper.any():
            result[part] = parts
            parts += 1
        else:
            waiting += [part[upper], part[~upper]]
    return result


def _neighbours(vertices, faces, polygon):
    """``(pairs, length)``: polygons that share an edge, in both orders, (N, 2), and the edge's length (N,)."""
    halves = twins(faces)
    length, pairs = half_lengths(vertices, faces)[halves[:, 0]], polygon[halves // 3]
    inner = pairs[:, 0] != pairs[:, 1]
    return np.concatenate([pairs[inner], pairs[inner, ::-1]]), np.tile(length[inner], 2)


def _best_part(owner, part, length, owners):
    """``(best, gain)`` (owners,): the part with the longest border for each owner, and how long; -1 and 0 without any."""
    parts = int(part.max()) + 1
    keys, row = np.unique(owner * parts + part, return_inverse=True)
    total = np.bincount(row, length, len(keys))
    order = np.lexsort((total, keys // parts))
    best, gain = np.full(owners, -1), np.zeros(owners)
    best[keys[order] // parts], gain[keys[order] // parts] = keys[order] % parts, total[order]
    return best, gain


def _smoothed(part, pairs, length):
    """Polygons along a cut move to the part that most of their outline touches."""
    cut = np.zeros(len(part), bool)
    cut[pairs[part[pairs[:, 0]] != part[pairs[:, 1]], 0]] = True
    near = cut[pairs[:, 0]]
    pairs, length = pairs[near], length[near]
    if not near.any():
        return part
    best, gain = _best_part(pairs[:, 0], part[pairs[:, 1]], length, len(part))
    own = np.bincount(pairs[:, 0], length * (part[pairs[:, 0]] == part[pairs[:, 1]]), len(part))
    return np.where(gain > own * (1 + 1e-9), best, part)


def _without_strays(part, pairs, length, weight):
    """Small pieces that are not connected with the rest of their part move to the part around them."""
    inside = part[pairs[:, 0]] == part[pairs[:, 1]]
    links = coo_matrix((np.ones(inside.sum()), pairs[inside].T), shape=(len(part), len(part)))
    pieces, piece = connected_components(links, directed=False)
    stray = np.bincount(piece, weight) < SMALLEST_PIECE
    moving = ~inside & stray[piece[pairs[:, 0]]] & ~stray[piece[pairs[:, 1]]]
    if not moving.any():
        return part
    best, _ = _best_part(piece[pairs[moving, 0]], part[pairs[moving, 1]], length[moving], pieces)
    return np.where(best[piece] >= 0, best[piece], part)
