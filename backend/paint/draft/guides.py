"""What tells alike places of a surface apart from others, whatever is painted there."""

import numpy as np
from scipy.spatial import cKDTree

from .samples import Samples
from .source import Source

HEIGHT, LEVEL, NEAR, BULGE = 2.0, 0.5, 0.7, 0.5
"""Weights: of the height, of how far up the surface looks, of the place, of how far it bulges at either scale."""

SCALES = 0.04, 0.12
"""Radii in longest sides of the mesh at which a bulge is measured."""

SOME = 4000
"""Points that the shape is measured at."""

HINTS = 12
"""Places that the guides suggest for a sample."""


def guides(samples: Samples, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """(N, G) float32 of samples and (H, W, G) of the source's pixels; squared differences are costs."""
    bulges = np.column_stack([bulge(samples.points, samples.normals, radius) for radius in SCALES])
    shape = source.usable.shape
    own = _stacked(samples.points, samples.normals, bulges)
    points, normal = source.points[source.usable], source.frames[source.usable][:, 2]
    # The source's surface is the samples' surface.
    _, near = cKDTree(np.hstack([samples.points, 0.1 * samples.normals])).query(np.hstack([points, 0.1 * normal]), workers=-1)
    theirs = np.zeros((*shape, own.shape[1]), np.float32)
    theirs[source.usable] = _stacked(points, normal, bulges[near])
    return own, theirs


def _stacked(points: np.ndarray, normals: np.ndarray, bulges: np.ndarray) -> np.ndarray:
    return np.column_stack([HEIGHT * points[:, 2], LEVEL * normals[:, 2], NEAR * points, BULGE * bulges]).astype(np.float32)


def bulge(points: np.ndarray, normals: np.ndarray, radius: float) -> np.ndarray:
    """(N,) float32, about -1..1: how far the surface around each point falls behind its tangent plane: > 0 convex, < 0 hollow."""
    some = np.arange(0, len(points), max(1, len(points) // SOME))
    near = cKDTree(points[some]).query_ball_point(points[some], radius, workers=-1, return_sorted=False)
    at = points[some]
    middle = np.array([at[index].mean(axis=0) for index in near])
    height = ((points[some] - middle) * normals[some]).sum(axis=1) / radius
    _, nearest = cKDTree(np.hstack([points[some], 0.1 * normals[some]])).query(np.hstack([points, 0.1 * normals]), workers=-1)
    return np.clip(2 * height[nearest], -1, 1).astype(np.float32)


def hints(guide: np.ndarray, source_guides: np.ndarray, places: np.ndarray, seed: int) -> np.ndarray:
    """(M, HINTS) int32: for each row of guides (M, G) the indices of places (P, 2) whose guides come closest."""
    random = np.random.default_rng(seed)
    some = random.choice(len(places), min(len(places), 3000), replace=False)
    tree = cKDTree(source_guides[places[some, 0], places[some, 1]])
    _, near = tree.query(guide, k=min(HINTS, len(some)), workers=-1)
    return some[near.reshape(len(guide), -1)].astype(np.int32)
