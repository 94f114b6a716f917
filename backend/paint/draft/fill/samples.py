"""Points spread over the surface, each with a frame of its tangent plane and its neighbours unrolled into it.

Patches live on these points and not in images of views: a pattern keeps its scale and runs on over edges
whatever looks at it.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from ....mesh.surface import Surface, triangle_areas
from .orientation_field import Field

NEIGHBORS = 28
"""Of each point: a patch of about six points across."""

DENSITY = 5.0
"""Random points per cell that one is chosen from."""


@dataclass(frozen=True)
class Samples:
    """N points of a surface, about one ``spacing`` apart.

    Attributes:
        spacing: in normalised space.
        points, normals: (N, 3) float32; the geometric normals, outward.
        face: (N,) int32.
        frames: (N, 2, 3) float32 unit tangents, the first to the right and the second upwards for who looks
            at the surface.
        steady: (N,) float32, how much that direction means: 0 nothing, 1 as much as upright on a wall.
        neighbors: (N, K) int32, nearest first, itself not among them.
        offsets: (N, K, 2) float32: where the neighbours lie in the point's frame when the surface is
            unrolled, in space's units.
        turns: (N, K) float32: the angle in radians of a neighbour's first tangent in the point's frame.
        weights: (N, K) float32: how much a neighbour counts in a patch; 0 for one on another sheet of the
            surface.
    """

    spacing: float
    points: np.ndarray
    normals: np.ndarray
    face: np.ndarray
    frames: np.ndarray
    steady: np.ndarray
    neighbors: np.ndarray
    offsets: np.ndarray
    turns: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


def sample(surface: Surface, outward: np.ndarray, cells: int, field: Field, seed: int) -> Samples:
    """Points of a surface, one per cell of a grid and main direction of the normal.

    Args:
        surface: in normalised space.
        outward: (F, 3) float32 unit normals of its faces.
        cells: along the longest side.
        field: of its tangents.
        seed: of the choice.
    """
    face, points, normals = spread(surface, outward, cells, seed)
    tangents, steady = field.frames(points, normals)
    count = min(NEIGHBORS, len(points) - 1)
    _, near = cKDTree(points).query(points, k=count + 1, workers=-1)
    near = near[:, 1:].astype(np.int32)
    offsets, turns = np.empty((len(points), count, 2), np.float32), np.empty((len(points), count), np.float32)
    weights = np.empty((len(points), count), np.float32)
    _unroll(points, normals, tangents, near, 1.0 / cells, offsets, turns, weights)
    return Samples(
        1.0 / cells, points, normals, face.astype(np.int32), tangents, steady, near, offsets, turns, weights
    )


def spread(
    surface: Surface, outward: np.ndarray, cells: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces (N,), points and normals (N, 3) float32: one per cell of a grid and main direction of the
    normal."""
    face, points = _scattered(surface, cells, np.random.default_rng(seed))
    chosen = _thinned(points, outward[face], cells)
    return face[chosen], points[chosen], outward[face[chosen]]


def _scattered(surface: Surface, cells: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Faces (M,) and points (M, 3) float32, evenly dense over the area."""
    areas = np.cumsum(triangle_areas(surface.vertices, surface.faces))
    count = int(DENSITY * areas[-1] * cells**2) + 64
    # One point per equal share of the area: more even than independent ones.
    face = np.searchsorted(areas, (np.arange(count) + random.random(count)) / count * areas[-1])
    face = np.minimum(face, len(areas) - 1)
    u, v = np.sqrt(random.random(count, np.float32)), random.random(count, np.float32)
    weights = np.stack([1 - u, u * (1 - v), u * v], axis=1)
    return face, np.einsum("nc,ncx->nx", weights, surface.vertices[surface.faces[face]]).astype(np.float32)


def _thinned(points: np.ndarray, normals: np.ndarray, cells: int) -> np.ndarray:
    """Indices of the point nearest to the middle of each cell, apart for each of the six main directions of
    the normal."""
    place = (points.astype(np.float64) + 0.5) * cells
    cell = np.clip(place.astype(np.int64), 0, cells)
    main = np.abs(normals).argmax(axis=1)
    direction = 2 * main + (normals[np.arange(len(normals)), main] > 0)
    key = (((cell[:, 0] * (cells + 1)) + cell[:, 1]) * (cells + 1) + cell[:, 2]) * 6 + direction
    order = np.lexsort((np.square(place - cell - 0.5).sum(axis=1), key))
    return order[np.r_[True, np.diff(key[order]) > 0]]


@njit(cache=True, nogil=True)
def _unroll(points, normals, frames, near, spacing, offsets, turns, weights):
    """Offsets along the tangent plane, as long as the way over the surface: over a fold, the sum of the ways
    to it and from it."""
    for p in range(near.shape[0]):
        for k in range(near.shape[1]):
            q = near[p, k]
            agree, forth, back, length = 0.0, 0.0, 0.0, 0.0
            right, up, cos_turn, sin_turn = 0.0, 0.0, 0.0, 0.0
            for axis in range(3):
                step = points[q, axis] - points[p, axis]
                agree += normals[p, axis] * normals[q, axis]
                forth += step * normals[q, axis]
                back += step * normals[p, axis]
                length += step * step
                right += step * frames[p, 0, axis]
                up += step * frames[p, 1, axis]
                cos_turn += frames[p, 0, axis] * frames[q, 0, axis]
                sin_turn += frames[p, 1, axis] * frames[q, 0, axis]
            length = np.sqrt(length)
            flat = np.sqrt(right * right + up * up)
            way = length
            fold = 1 - agree * agree
            if fold > 0.3:
                # Distances to the line in which the two tangent planes meet.
                first, second = abs(forth) / np.sqrt(fold), abs(back) / np.sqrt(fold)
                across = length * length - (first * first + second * second + 2 * agree * forth * back / fold)
                way = min(np.sqrt(max(across, 0.0) + (first + second) ** 2), 1.5 * length)
            scale = way / max(flat, 1e-9) if flat > 0.05 * length else 0.0
            offsets[p, k, 0], offsets[p, k, 1] = right * scale, up * scale
            turns[p, k] = np.arctan2(sin_turn, cos_turn)
            reach = way / (2.2 * spacing)
            weights[p, k] = np.exp(-0.5 * reach * reach) if agree > -0.3 and scale > 0 else 0.0
