"""What tells alike places of a surface apart from others, whatever is painted there."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ....mesh.parts import parts
from ....mesh.surface import Surface
from ....render.occlusion import ambient_occlusion
from .exemplar import Source
from .samples import Samples

HEIGHT, LEVEL, NEAR, BULGE, HOLLOW = 2.0, 0.5, 0.7, 0.5, 3.0
"""Weights: of the height, of how far up the surface looks, of the place, of how far it bulges at either
scale, of its occlusion."""

SCALES = 0.04, 0.12
"""Radii in longest sides of the mesh at which a bulge is measured."""

SOME = 4000
"""Points that the shape is measured at."""

HINTS = 12
"""Places that the guides suggest for a sample."""

FEW = 30
"""Pixels of a part that tell its colour."""

SHADE = 0.03
"""Standard deviation, 0..1 per channel, that light alone gives to one colour: plain parts differ by more."""


@dataclass(frozen=True)
class Shape:
    """What parts and hollows need to know of the whole surface.

    Attributes:
        part: (F,) int32 of its faces; see :func:`backend.mesh.parts.parts`.
        slot: (F,) int64 of its faces, their material slots, numbered from 0.
        points, normals: (N, 3) float32, some of it, and their ``occlusion`` (N,) float32.
    """

    part: np.ndarray
    slot: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    occlusion: np.ndarray


def shape_of(surface: Surface, points: np.ndarray, normals: np.ndarray) -> Shape:
    """The shape of a surface, given points (N, 3) float32 all over it and their outward normals."""
    some = np.arange(0, len(points), max(1, len(points) // SOME))
    slot = (
        np.zeros(len(surface.faces), np.int64)
        if surface.slots is None
        else np.unique(surface.slots, return_inverse=True)[1]
    )
    return Shape(
        parts(surface),
        slot,
        points[some],
        normals[some],
        ambient_occlusion(surface, points[some], normals[some]),
    )


def guides(samples: Samples, source: Source, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, G) float32 of samples and (H, W, G) of the source's pixels; squared differences are costs.
    ``near``: :func:`same_place`."""
    bulges = [bulge(samples.points, samples.normals, radius) for radius in SCALES]
    own = _stacked(samples.points, samples.normals, *bulges)
    points, normals = source.points[source.usable], source.frames[source.usable][:, 2]
    theirs = np.zeros((*source.usable.shape, own.shape[1]), np.float32)
    theirs[source.usable] = _stacked(points, normals, *(values[near] for values in bulges))
    return own, theirs


def same_place(samples: Samples, source: Source) -> np.ndarray:
    """(U,) int64 samples nearest to the usable pixels of the source, whose surface is theirs."""
    return nearest(
        samples.points, samples.normals, source.points[source.usable], source.frames[source.usable][:, 2]
    )


def nearest(
    places: np.ndarray, directions: np.ndarray, points: np.ndarray, normals: np.ndarray
) -> np.ndarray:
    """(M,) int64: which of places (N, 3) with normals (N, 3) is nearest to each of points (M, 3), on the same
    side of the surface."""
    return cKDTree(np.hstack([places, 0.1 * directions])).query(
        np.hstack([points, 0.1 * normals]), workers=-1
    )[1]


def _stacked(points: np.ndarray, normals: np.ndarray, finer: np.ndarray, broader: np.ndarray) -> np.ndarray:
    return np.column_stack(
        [HEIGHT * points[:, 2], LEVEL * normals[:, 2], NEAR * points, BULGE * finer, BULGE * broader]
    ).astype(np.float32)


def hollows(
    samples: Samples, source: Source, near: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 1) float32 occlusion of samples and (H, W, 1) of the source's pixels, as guides; ``near``:
    :func:`same_place`."""
    own = (
        HOLLOW
        * shape.occlusion[nearest(shape.points, shape.normals, samples.points, samples.normals)][:, None]
    )
    theirs = np.zeros((*source.usable.shape, 1), np.float32)
    theirs[source.usable] = own[near]
    return own, theirs


def unlike(
    part: np.ndarray, slot: np.ndarray, source: Source, near: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How unlike the parts of a surface are in the picture.

    Two parts are where at least half of their variance lies between them, wholly so from three quarters on. A
    part of which the picture shows next to nothing has nothing of its own to copy: it passes for all that has
    its material slot. If there is but one slot, or the picture does not show that either, it is like all
    others.

    Args:
        part: (N,) int32 of the samples.
        slot: (N,) int64 of the samples.
        source: the picture.
        near: (U,) int64, :func:`same_place`.

    Returns:
        Numbers of the parts of samples (N,) and of the source's pixels (H, W) int32, 0 for what is hardly
        shown; and (P, P) float32 from 0, alike, to 1.
    """
    shown, colors = part[near], source.colors[source.usable]
    if slot.any():
        # Numbers after those of the parts stand for whole slots.
        seldom = np.bincount(shown, minlength=part.max() + 1) < FEW
        whole = len(seldom) + slot
        part = np.where(seldom[part], whole, part)
        shown, colors = np.concatenate([shown, whole[near]]), np.concatenate([colors, colors])
    count = np.bincount(shown, minlength=part.max() + 1)
    known = np.flatnonzero(count >= FEW)
    number = np.zeros(len(count), np.int32)
    number[known] = 1 + np.arange(len(known))
    theirs = np.zeros(source.usable.shape, np.int32)
    theirs[source.usable] = number[part[near]]
    mean = (
        np.column_stack([np.bincount(shown, channel, len(count)) for channel in colors.T])[known]
        / count[known, None]
    )
    within = np.bincount(shown, np.square(colors).sum(axis=1), len(count))[known] / count[known] - np.square(
        mean
    ).sum(axis=1)
    within += 3 * SHADE**2
    apart = cdist(mean, mean, "sqeuclidean")
    between = np.zeros((len(known) + 1,) * 2, np.float32)
    between[1:, 1:] = np.clip(4 * apart / (apart + 2 * (within + within[:, None])) - 2, 0, 1)
    return number[part], theirs, between


def bulge(points: np.ndarray, normals: np.ndarray, radius: float) -> np.ndarray:
    """(N,) float32, about -1..1: how far the surface around each point falls behind its tangent plane: > 0
    convex, < 0 hollow."""
    some = np.arange(0, len(points), max(1, len(points) // SOME))
    near = cKDTree(points[some]).query_ball_point(points[some], radius, workers=-1, return_sorted=False)
    at = points[some]
    middle = np.array([at[index].mean(axis=0) for index in near])
    height = ((points[some] - middle) * normals[some]).sum(axis=1) / radius
    return np.clip(2 * height[nearest(at, normals[some], points, normals)], -1, 1).astype(np.float32)


def hints(guide: np.ndarray, source_guides: np.ndarray, places: np.ndarray, seed: int) -> np.ndarray:
    """(M, HINTS) int32: for each row of guides (M, G) the indices of places (P, 2) whose guides come
    closest."""
    random = np.random.default_rng(seed)
    some = random.choice(len(places), min(len(places), 3000), replace=False)
    tree = cKDTree(source_guides[places[some, 0], places[some, 1]])
    _, near = tree.query(guide, k=min(HINTS, len(some)), workers=-1)
    return some[near.reshape(len(guide), -1)].astype(np.int32)
