"""Points spread over the surface, each with a tangent frame and its neighbours unrolled into it.

Patches live on these points and not in images of views: a pattern keeps its scale and continues over edges,
independent of any view.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from ....mesh.surface import Surface, triangle_areas
from .orientation_field import OrientationField

PATCH_RADIUS = 2.2
"""Spacings over which a neighbour's weight in a patch falls to exp(-1/2)."""


@dataclass(frozen=True)
class SamplingConfig:
    """Tuned numbers of the sampling."""

    neighbors: int = 28
    """Neighbours of each sample: a patch of about six samples across."""

    density: float = 5.0
    """Random points per cell, of which the one nearest to the cell's centre is kept."""


@dataclass(frozen=True)
class Samples:
    """N points of a surface, about one ``spacing`` apart.

    Attributes:
        spacing: in normalised space.
        points, normals: (N, 3) float32, normalised space; the geometric normals, outward.
        face: (N,) int32.
        frames: (N, 2, 3) float32 unit tangents, to the right and upwards, seen from outside.
        direction_strength: (N,) float32, how much that direction means: 0 nothing, 1 as much as upright on a
            wall.
        neighbors: (N, K) int32, nearest first, without the sample itself.
        offsets: (N, K, 2) float32: where the neighbours lie in the sample's frame when the surface is
            unrolled, in units of normalised space.
        angles: (N, K) float32: the angle in radians of a neighbour's first tangent in the sample's frame.
        weights: (N, K) float32: weight of a neighbour in the patch; 0 for one on another sheet of the
            surface.
    """

    spacing: float
    points: np.ndarray
    normals: np.ndarray
    face: np.ndarray
    frames: np.ndarray
    direction_strength: np.ndarray
    neighbors: np.ndarray
    offsets: np.ndarray
    angles: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


def sample_surface(
    surface: Surface,
    outward: np.ndarray,
    cells: int,
    field: OrientationField,
    seed: int,
    config: SamplingConfig = SamplingConfig(),
) -> Samples:
    """Samples of a surface, one per cell of a grid and main direction of the normal.

    Args:
        surface: in normalised space.
        outward: (F, 3) float32 unit normals of its faces.
        cells: of the grid, along the longest side.
        field: directions of the tangent frames.
        seed: of the random points.
        config: tuned numbers.
    """
    face, points, normals = sample_points(surface, outward, cells, seed, config)
    frames, direction_strength = field.tangent_frames(points, normals)
    count = min(config.neighbors, len(points) - 1)
    _, near = cKDTree(points).query(points, k=count + 1, workers=-1)
    # The nearest is the sample itself.
    near = near[:, 1:].astype(np.int32)
    offsets = np.empty((len(points), count, 2), np.float32)
    angles = np.empty((len(points), count), np.float32)
    weights = np.empty((len(points), count), np.float32)
    _unroll_neighbors(points, normals, frames, near, 1.0 / cells, offsets, angles, weights)
    return Samples(
        spacing=1.0 / cells,
        points=points,
        normals=normals,
        face=face.astype(np.int32),
        frames=frames,
        direction_strength=direction_strength,
        neighbors=near,
        offsets=offsets,
        angles=angles,
        weights=weights,
    )


def sample_points(
    surface: Surface, outward: np.ndarray, cells: int, seed: int, config: SamplingConfig = SamplingConfig()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces (N,), points and normals (N, 3) float32: one per cell of a grid and main direction of the
    normal; see :func:`sample_surface`."""
    face, points = _draw_points(surface, cells, config.density, np.random.default_rng(seed))
    chosen = _thin_to_grid(points, outward[face], cells)
    return face[chosen], points[chosen], outward[face[chosen]]


def _draw_points(
    surface: Surface, cells: int, density: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Faces (M,) and points (M, 3) float32, evenly dense over the area."""
    areas = np.cumsum(triangle_areas(surface.vertices, surface.faces))
    count = int(density * areas[-1] * cells**2) + 64
    # Stratified: one point per equal piece of the area is more even than independent points.
    face = np.searchsorted(areas, (np.arange(count) + random.random(count)) / count * areas[-1])
    face = np.minimum(face, len(areas) - 1)
    u, v = np.sqrt(random.random(count, np.float32)), random.random(count, np.float32)
    weights = np.stack([1 - u, u * (1 - v), u * v], axis=1)
    return face, np.einsum("nc,ncx->nx", weights, surface.vertices[surface.faces[face]]).astype(np.float32)


def _thin_to_grid(points: np.ndarray, normals: np.ndarray, cells: int) -> np.ndarray:
    """Indices of the points nearest to the centres of the cells, one for each of the six main directions of
    the normal."""
    place = (points.astype(np.float64) + 0.5) * cells
    cell = np.clip(place.astype(np.int64), 0, cells)
    main = np.abs(normals).argmax(axis=1)
    direction = 2 * main + (normals[np.arange(len(normals)), main] > 0)
    key = (((cell[:, 0] * (cells + 1)) + cell[:, 1]) * (cells + 1) + cell[:, 2]) * 6 + direction
    order = np.lexsort((np.square(place - cell - 0.5).sum(axis=1), key))
    return order[np.r_[True, np.diff(key[order]) > 0]]


@njit(cache=True, nogil=True)
def _unroll_neighbors(points, normals, frames, near, spacing, offsets, angles, weights):
    """Fills offsets (N, K, 2) along the tangent plane, as long as the way over the surface, and the
    neighbours' angles and weights (N, K). Over a fold, the way is that to the fold and from it."""
    for p in range(near.shape[0]):
        for k in range(near.shape[1]):
            q = near[p, k]
            # The step to the neighbour: in the frame, along both normals, and its length.
            agree, forth, back, length = 0.0, 0.0, 0.0, 0.0
            right, up, cos_angle, sin_angle = 0.0, 0.0, 0.0, 0.0
            for axis in range(3):
                step = points[q, axis] - points[p, axis]
                agree += normals[p, axis] * normals[q, axis]
                forth += step * normals[q, axis]
                back += step * normals[p, axis]
                length += step * step
                right += step * frames[p, 0, axis]
                up += step * frames[p, 1, axis]
                cos_angle += frames[p, 0, axis] * frames[q, 0, axis]
                sin_angle += frames[p, 1, axis] * frames[q, 0, axis]
            length = np.sqrt(length)
            flat = np.sqrt(right * right + up * up)
            # The way over the surface; over a fold by the line in which the two tangent planes meet.
            way = length
            fold = 1 - agree * agree
            if fold > 0.3:
                first, second = abs(forth) / np.sqrt(fold), abs(back) / np.sqrt(fold)
                across = length * length - (first * first + second * second + 2 * agree * forth * back / fold)
                way = min(np.sqrt(max(across, 0.0) + (first + second) ** 2), 1.5 * length)
            scale = way / max(flat, 1e-9) if flat > 0.05 * length else 0.0
            offsets[p, k, 0], offsets[p, k, 1] = right * scale, up * scale
            angles[p, k] = np.arctan2(sin_angle, cos_angle)
            # Gaussian weights; none for the back of a thin wall.
            reach = way / (PATCH_RADIUS * spacing)
            weights[p, k] = np.exp(-0.5 * reach * reach) if agree > -0.3 and scale > 0 else 0.0
