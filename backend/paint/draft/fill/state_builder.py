"""The state of one level's search, from the level, the shape and the priors."""

from dataclasses import replace

import numpy as np

from .config import SynthesisConfig
from .guides import (
    SurfaceShape,
    find_candidates,
    nearest_samples,
    occlusion_guides,
    part_dissimilarity,
    shape_guides,
)
from .level import Level
from .level_state import LevelState
from .orientation_field import OrientationField, explained_variance, ring_features
from .seam_prior import (
    common_color,
    constant_color_fallback,
    extrapolate_seam_color,
    geodesic_origins,
    low_pass_color,
)


def build_state(
    level: Level,
    colors: np.ndarray,
    orientation: OrientationField,
    confidence: np.ndarray,
    ring_cost: np.ndarray,
    shape: SurfaceShape,
    pattern: float,
    seed: int,
    config: SynthesisConfig,
) -> LevelState:
    """The state of one level's search.

    Args:
        level: the samples and the exemplar.
        colors: (N, 3) float32 sRGB 0..1.
        orientation: with the main axis.
        confidence: (N,) float32 of the rotational-symmetry prior.
        ring_cost: (N,) float32, of copying from another ring.
        shape: of the surface.
        pattern: 0..1, :func:`.seam_prior.stationarity`.
        seed: of random choices.
        config: tuned numbers.
    """
    samples, exemplar, fixed, free = level.samples, level.exemplar, level.fixed, level.free
    numbers = config.levels[level.number]
    usable_pixels = np.argwhere(exemplar.usable).astype(np.int32)
    shown = exemplar.colors[exemplar.usable]
    inverse_variance = 1 / (2 * max(float(shown.var(axis=0).sum()), 1e-3))
    # Parts: one says nothing of the next that has other colours.
    nearest = nearest_samples(samples, exemplar)
    slot = shape.slot[samples.face]
    part, exemplar_part, dissimilarity = part_dissimilarity(
        shape.part[samples.face], slot, exemplar, nearest, config.guides
    )
    similarity = 1 - dissimilarity[part[:, None], part[samples.neighbors]]
    samples = replace(samples, weights=samples.weights * similarity)
    # Orientation and occurrence: lettering is read one way, and hard to keep.
    occurrence_weight = pattern * numbers.occurrence_weight
    if exemplar.has_lettering:
        strength = np.full_like(samples.direction_strength, config.lettering_direction_strength)
        samples = replace(samples, direction_strength=strength)
        occurrence_weight *= numbers.lettering_occurrence
    # Guides and the constant colour, both from the nearest painted surface.
    level = replace(level, samples=samples)
    origin = geodesic_origins(samples, fixed, slot)
    guides, exemplar_guides = _build_guides(level, colors, origin, shape, nearest, inverse_variance, config)
    fallback_color, fallback_cost = constant_color_fallback(
        samples, fixed, colors, origin, exemplar, inverse_variance, config.seam
    )
    # Where the rings know the colour it is theirs, dear only where there are patches of it.
    sure = np.flatnonzero(ring_cost > config.turning_cost * config.ring_sure)
    fallback_color[sure] = colors[sure]
    common = common_color(exemplar, colors[sure], config.seam)
    fallback_cost = fallback_cost + config.ring_fallback_cost * confidence
    fallback_cost[sure] = config.seam.constant_cost + common
    # Rings around the main axis.
    rings, exemplar_rings = _build_ring_features(level, orientation, config.ring_width)
    # Candidates: pixels with similar guides; where rings mean something, every other one of the same ring.
    candidates = find_candidates(guides[free], exemplar_guides, usable_pixels, seed, config.guides)
    ringed = ring_cost[free] > config.ring_cost * config.ring_confidence
    if ringed.any():
        of_ring = find_candidates(rings[free[ringed]], exemplar_rings, usable_pixels, seed, config.guides)
        candidates[ringed, ::2] = of_ring[:, ::2]
    return LevelState(
        samples=samples,
        exemplar=exemplar,
        hidden=~fixed,
        free=free,
        ring_features=rings,
        exemplar_ring_features=exemplar_rings,
        ring_weight=ring_cost,
        guides=guides,
        exemplar_guides=exemplar_guides,
        parts=part,
        exemplar_parts=exemplar_part,
        part_mismatch=np.float32(numbers.guide_strength * config.part_cost) * dissimilarity,
        fallback_color=fallback_color,
        fallback_cost=fallback_cost,
        usable_pixels=usable_pixels,
        candidates=candidates,
        inverse_variance=inverse_variance,
        occurrence_weight=occurrence_weight,
        seed=seed,
    )


def _build_guides(
    level: Level,
    colors: np.ndarray,
    origin: np.ndarray,
    shape: SurfaceShape,
    nearest: np.ndarray,
    inverse_variance: float,
    config: SynthesisConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Guides (N, G) of samples and (H, W, G) of the exemplar, float32. They count as much as they explain of
    the reference: what does not follow the shape there will not elsewhere.

    Args:
        level: the samples and the exemplar.
        colors: (N, 3) float32 sRGB 0..1.
        origin: (N,) int64, :func:`.seam_prior.geodesic_origins`.
        shape: of the surface.
        nearest: (U,) int64, :func:`.guides.nearest_samples`.
        inverse_variance: one over twice the variance of the exemplar's colours.
        config: tuned numbers.
    """
    samples, exemplar = level.samples, level.exemplar
    channels, exemplar_channels = shape_guides(samples, exemplar, nearest, config.guides)
    occlusion, exemplar_occlusion = occlusion_guides(samples, exemplar, nearest, shape, config.guides)
    # How much either explains of the known colours.
    known = np.flatnonzero(level.fixed)
    count = min(len(known), config.guide_samples)
    known = known[np.linspace(0, len(known) - 1, count).astype(int)]
    by_shape, by_occlusion = (
        explained_variance(guide[known], samples.points[known], colors[known])
        for guide in (channels, occlusion)
    )
    most = config.levels[level.number].guide_strength
    strength = np.float32(most * np.clip(1.5 * by_shape, 0.1, 1))
    occlusion_strength = np.float32(most * np.clip(1.5 * by_occlusion, 0, 1))
    # The low-pass colour of the nearest painted surface is a guide, too.
    seam_strength = strength * np.float32(np.sqrt(config.seam_cost * inverse_variance))
    seam = extrapolate_seam_color(samples, level.fixed, colors, origin, config.seam)
    exemplar_seam = low_pass_color(exemplar, samples.spacing, config.seam)
    guides = np.hstack([strength * channels, seam_strength * seam, occlusion_strength * occlusion])
    exemplar_guides = np.concatenate(
        [
            strength * exemplar_channels,
            seam_strength * exemplar_seam,
            occlusion_strength * exemplar_occlusion,
        ],
        axis=2,
    )
    return guides, exemplar_guides


def _build_ring_features(
    level: Level, orientation: OrientationField, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ring features (N, 3) of samples and (H, W, 3) of the exemplar, float32, in units of ``width``
    spacings."""
    samples, exemplar = level.samples, level.exemplar
    axis = orientation.axis
    center = np.zeros(3) if orientation.center is None else orientation.center
    scale = 1 / (width * samples.spacing)
    own = (scale * ring_features(axis, samples.points - center, samples.normals)).astype(np.float32)
    theirs = np.zeros((*exemplar.usable.shape, 3), np.float32)
    points, normals = exemplar.points[exemplar.usable], exemplar.frames[exemplar.usable][:, 2]
    theirs[exemplar.usable] = scale * ring_features(axis, points - center, normals)
    return own, theirs
