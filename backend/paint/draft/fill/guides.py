"""Guidance channels: what tells similar places of a surface from others, whatever is painted there (image
analogies, Hertzmann et al. 2001)."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ....mesh.parts import segment_parts
from ....mesh.surface import Surface
from ....render.occlusion import ambient_occlusion
from .exemplar import Exemplar
from .orientation_field import position_normal_features
from .samples import Samples


@dataclass(frozen=True)
class GuideConfig:
    """Tuned numbers of the guides; a weight multiplies a channel whose squared differences are costs."""

    height_weight: float = 2.0
    """Weight of the height."""

    slope_weight: float = 0.5
    """Weight of the normal's vertical part."""

    position_weight: float = 0.7
    """Weight of the position, on each of its three axes."""

    convexity_weight: float = 0.5
    """Weight of the convexity, at either of its radii."""

    convexity_radii: tuple[float, float] = (0.04, 0.12)
    """Radii at which the convexity is measured, in longest sides of the mesh."""

    occlusion_weight: float = 3.0
    """Weight of the ambient occlusion."""

    shape_points: int = 4000
    """Points at which convexity and ambient occlusion are measured."""

    candidates: int = 12
    """Pixels of the exemplar with similar guides that the search tries for a sample."""

    candidate_pool: int = 3000
    """Random pixels of the exemplar that those are chosen from."""

    min_part_pixels: int = 30
    """Pixels of a part from which on its colours are known."""

    shading_sigma: float = 0.03
    """Standard deviation, 0..1 per channel, that light alone gives to one colour: plain parts differ by
    more."""


@dataclass(frozen=True)
class SurfaceShape:
    """What the guides read of the whole surface.

    Attributes:
        part: (F,) int32 of its faces; see :func:`backend.mesh.parts.segment_parts`.
        slot: (F,) int64 of its faces, their material slots, numbered from 0.
        points, normals: (N, 3) float32, some of the surface, normalised space.
        occlusion: (N,) float32 there.
    """

    part: np.ndarray
    slot: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    occlusion: np.ndarray


def measure_shape(
    surface: Surface, points: np.ndarray, normals: np.ndarray, config: GuideConfig = GuideConfig()
) -> SurfaceShape:
    """The shape of a surface, given points (N, 3) float32 all over it and their outward normals."""
    some = _spread_indices(len(points), config.shape_points)
    if surface.slots is None:
        slot = np.zeros(len(surface.faces), np.int64)
    else:
        slot = np.unique(surface.slots, return_inverse=True)[1]
    occlusion = ambient_occlusion(surface, points[some], normals[some])
    return SurfaceShape(segment_parts(surface), slot, points[some], normals[some], occlusion)


def _spread_indices(count: int, most: int) -> np.ndarray:
    """Every n-th index below ``count``, ``most`` to twice that of them unless there are fewer."""
    return np.arange(0, count, max(1, count // most))


def shape_guides(
    samples: Samples, exemplar: Exemplar, nearest: np.ndarray, config: GuideConfig = GuideConfig()
) -> tuple[np.ndarray, np.ndarray]:
    """Height, slope, position and convexity: (N, G) float32 of samples and (H, W, G) of the exemplar's
    pixels.

    Args:
        samples: of the surface.
        exemplar: the reference.
        nearest: (U,) int64, :func:`nearest_samples`.
        config: weights of the channels.
    """
    convexities = [
        convexity(samples.points, samples.normals, radius, config.shape_points)
        for radius in config.convexity_radii
    ]
    own = _stack_guides(samples.points, samples.normals, convexities, config)
    points, normals = exemplar.points[exemplar.usable], exemplar.frames[exemplar.usable][:, 2]
    theirs = np.zeros((*exemplar.usable.shape, own.shape[1]), np.float32)
    theirs[exemplar.usable] = _stack_guides(
        points, normals, [values[nearest] for values in convexities], config
    )
    return own, theirs


def nearest_samples(samples: Samples, exemplar: Exemplar) -> np.ndarray:
    """(U,) int64 samples nearest to the surface that the usable pixels of the exemplar show."""
    shown = exemplar.usable
    return nearest_oriented(
        samples.points, samples.normals, exemplar.points[shown], exemplar.frames[shown][:, 2]
    )


def nearest_oriented(
    points: np.ndarray, normals: np.ndarray, query_points: np.ndarray, query_normals: np.ndarray
) -> np.ndarray:
    """(M,) int64: which of points (N, 3) with normals (N, 3) is nearest to each of the query's (M, 3), on the
    same side of the surface."""
    tree = cKDTree(position_normal_features(points, normals))
    return tree.query(position_normal_features(query_points, query_normals), workers=-1)[1]


def _stack_guides(
    points: np.ndarray, normals: np.ndarray, convexities: list[np.ndarray], config: GuideConfig
) -> np.ndarray:
    """(N, G) float32 weighted channels."""
    return np.column_stack(
        [
            config.height_weight * points[:, 2],
            config.slope_weight * normals[:, 2],
            config.position_weight * points,
            *(config.convexity_weight * values for values in convexities),
        ]
    ).astype(np.float32)


def occlusion_guides(
    samples: Samples,
    exemplar: Exemplar,
    nearest: np.ndarray,
    shape: SurfaceShape,
    config: GuideConfig = GuideConfig(),
) -> tuple[np.ndarray, np.ndarray]:
    """Ambient occlusion: (N, 1) float32 of samples and (H, W, 1) of the exemplar's pixels; ``nearest``:
    :func:`nearest_samples`."""
    measured = nearest_oriented(shape.points, shape.normals, samples.points, samples.normals)
    own = config.occlusion_weight * shape.occlusion[measured][:, None]
    theirs = np.zeros((*exemplar.usable.shape, 1), np.float32)
    theirs[exemplar.usable] = own[nearest]
    return own, theirs


def part_dissimilarity(
    part: np.ndarray,
    slot: np.ndarray,
    exemplar: Exemplar,
    nearest: np.ndarray,
    config: GuideConfig = GuideConfig(),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How dissimilar the parts of a surface are in the exemplar.

    Two parts are dissimilar where at least half of their variance lies between them, wholly so from three
    quarters on. A part of which the exemplar shows next to nothing has nothing of its own to copy: it counts
    as all that has its material slot. If there is but one slot, or the exemplar does not show that either, it
    is similar to all others.

    Args:
        part: (N,) int32 of the samples.
        slot: (N,) int64 of the samples.
        exemplar: the reference.
        nearest: (U,) int64, :func:`nearest_samples`.
        config: tuned numbers.

    Returns:
        Numbers of the parts of samples (N,) and of the exemplar's pixels (H, W) int32, 0 for what is hardly
        shown; and (P, P) float32 from 0, similar, to 1.
    """
    shown, colors = part[nearest], exemplar.colors[exemplar.usable]
    if slot.any():
        # Numbers after those of the parts stand for whole slots.
        rare = np.bincount(shown, minlength=part.max() + 1) < config.min_part_pixels
        whole = len(rare) + slot
        part = np.where(rare[part], whole, part)
        shown, colors = np.concatenate([shown, whole[nearest]]), np.concatenate([colors, colors])
    # Renumber those that are shown from 1 on.
    count = np.bincount(shown, minlength=part.max() + 1)
    known = np.flatnonzero(count >= config.min_part_pixels)
    number = np.zeros(len(count), np.int32)
    number[known] = 1 + np.arange(len(known))
    theirs = np.zeros(exemplar.usable.shape, np.int32)
    theirs[exemplar.usable] = number[part[nearest]]
    # Means (P, 3) and variances (P,) within parts, against squared distances (P, P) between them.
    sums = np.column_stack([np.bincount(shown, channel, len(count)) for channel in colors.T])
    mean = sums[known] / count[known, None]
    squares = np.bincount(shown, np.square(colors).sum(axis=1), len(count))
    within = squares[known] / count[known] - np.square(mean).sum(axis=1)
    within += 3 * config.shading_sigma**2
    between = cdist(mean, mean, "sqeuclidean")
    dissimilarity = np.zeros((len(known) + 1,) * 2, np.float32)
    dissimilarity[1:, 1:] = np.clip(4 * between / (between + 2 * (within + within[:, None])) - 2, 0, 1)
    return number[part], theirs, dissimilarity


def convexity(points: np.ndarray, normals: np.ndarray, radius: float, most: int) -> np.ndarray:
    """(N,) float32, about -1..1: how far the surface around each point falls behind its tangent plane: > 0
    convex, < 0 hollow; measured at ``most`` to twice that many points."""
    some = _spread_indices(len(points), most)
    at = points[some]
    near = cKDTree(at).query_ball_point(at, radius, workers=-1, return_sorted=False)
    middle = np.array([at[index].mean(axis=0) for index in near])
    height = ((at - middle) * normals[some]).sum(axis=1) / radius
    measured = nearest_oriented(at, normals[some], points, normals)
    return np.clip(2 * height[measured], -1, 1).astype(np.float32)


def find_candidates(
    guides: np.ndarray,
    exemplar_guides: np.ndarray,
    usable_pixels: np.ndarray,
    seed: int,
    config: GuideConfig = GuideConfig(),
) -> np.ndarray:
    """(M, C) int32: for each row of guides (M, G) the indices of usable pixels (P, 2) whose guides come
    closest."""
    random = np.random.default_rng(seed)
    count = min(len(usable_pixels), config.candidate_pool)
    some = random.choice(len(usable_pixels), count, replace=False)
    tree = cKDTree(exemplar_guides[usable_pixels[some, 0], usable_pixels[some, 1]])
    _, near = tree.query(guides, k=min(config.candidates, len(some)), workers=-1)
    return some[near.reshape(len(guides), -1)].astype(np.int32)
