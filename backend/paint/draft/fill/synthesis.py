"""The hidden surface, synthesised from patches of what the reference shows (image analogies, Hertzmann et al.
2001).

Coarse to fine, samples of the surface look for the place of the exemplar whose patch fits what is painted
around them and whose guides are like theirs; what the patches copy is averaged, and the search starts again
from there (Wexler et al. 2007). A place of the exemplar costs more, the more samples copy it (Kaspar et al.
2015), so that no blotch is repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from ....mesh.surface import Surface
from ..image.projection import Projection
from .exemplar import Exemplar, ExemplarConfig, build_exemplar
from .guides import (
    GuideConfig,
    SurfaceShape,
    find_candidates,
    measure_shape,
    nearest_samples,
    occlusion_guides,
    part_dissimilarity,
    shape_guides,
)
from .level_state import LevelState, occurrence_map
from .orientation_field import (
    OrientationConfig,
    OrientationField,
    explained_variance,
    find_main_axis,
    fit_revolution_center,
    ring_features,
)
from .patchmatch import propagate_and_search, vote
from .rotational_prior import RingConfig, predict_from_rings
from .samples import Samples, SamplingConfig, sample_points, sample_surface
from .seam_prior import (
    SeamConfig,
    constant_color_fallback,
    extrapolate_seam_color,
    geodesic_distances,
    geodesic_origins,
    low_pass_color,
    stationarity,
)


@dataclass(frozen=True)
class LevelConfig:
    """Tuned numbers of one resolution level. Costs are against 1 for a patch of random colours."""

    cells: int
    """Samples along the longest side of the mesh."""

    rounds: int
    """Rounds of search and vote."""

    guide_strength: float
    """Weight of the guides: what is copied is decided on the coarsest level."""

    occurrence_weight: float
    """Cost of a place that is copied as often as if all were copied evenly, where the exemplar is one
    pattern. Elsewhere it costs nothing: the back of a head needs no face, however little of the hair is
    visible."""

    lettering_occurrence: float = 1.0
    """Factor of that cost where the exemplar is lettering."""


@dataclass(frozen=True)
class SynthesisConfig:
    """Tuned numbers of the synthesis. Costs are against 1 for a patch of random colours."""

    levels: tuple[LevelConfig, ...] = (
        # The plain ground between letters is easier to copy, and lines would go missing without the factor 8.
        LevelConfig(60, 8, guide_strength=1.0, occurrence_weight=0.03, lettering_occurrence=8.0),
        LevelConfig(110, 8, guide_strength=0.6, occurrence_weight=0.04),
        LevelConfig(180, 5, guide_strength=0.35, occurrence_weight=0.01),
    )
    """Resolution levels, coarse to fine; two at least."""

    max_samples: int = 220_000
    """Samples of a level, about: those of a cube on the finest. Foliage, with many times its surface, would
    take minutes and gigabytes."""

    min_samples: int = 50
    """Samples, and usable pixels, without which there is nothing to paint or nothing to copy."""

    known_trust: float = 0.5
    """Trust 0..1 in a known colour above which a sample is not painted."""

    painted_trust: float = 0.7
    """Weight of a painted sample in its neighbours' patches, against 1 for a known one."""

    front_step: float = 1.5
    """Spacings by which the paint first advances over the hidden surface, away from what is known."""

    front_depth: int = 4
    """Advances after which a sample is no longer repainted."""

    front_rounds: int = 2
    """Rounds of search and vote per advance."""

    guide_samples: int = 5000
    """Known samples from which is measured how much the guides explain."""

    seam_cost: float = 0.5
    """Cost, as a guide, of copying from where the low-pass colour differs by one standard deviation per
    channel from that of the nearest painted surface."""

    part_cost: float = 0.5
    """Cost, as a guide, of copying from a part that has other colours altogether."""

    ring_cost: float = 0.6
    """Cost of copying from another ring around the main axis, where rings have one colour."""

    ring_width: float = 1.5
    """Spacings by which rings differ."""

    ring_fallback_cost: float = 0.2
    """Cost of a constant colour there."""

    ring_confidence: float = 0.1
    """Confidence of the rotational-symmetry prior from which on candidates come from the same ring."""

    lettering_direction_strength: float = 2.0
    """Strength of directions everywhere where the exemplar is lettering, against 1 on walls: it is read one
    way, on level faces too."""

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    orientation: OrientationConfig = field(default_factory=OrientationConfig)
    exemplar: ExemplarConfig = field(default_factory=ExemplarConfig)
    guides: GuideConfig = field(default_factory=GuideConfig)
    rings: RingConfig = field(default_factory=RingConfig)
    seam: SeamConfig = field(default_factory=SeamConfig)


ColorLookup = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``look_up(points (N, 3), normals (N, 3)) -> (colors (N, 3), trust (N,))``: what is known of points of the
surface."""

ColorGuess = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``guess(points (N, 3), normals (N, 3)) -> colors (N, 3)`` where nothing is known."""


@dataclass(frozen=True)
class Synthesis:
    """A surface painted with patches of an exemplar.

    Attributes:
        samples: of the surface.
        nnf: (N, 3) float32 nearest-neighbour field: column, row and angle in the exemplar, see
            :mod:`.patchmatch`; NaN where nothing is copied.
        colors: (N, 3) float32 sRGB 0..1 of the samples, which stand where nothing is copied.
        exemplar: the reference at full resolution.
    """

    samples: Samples
    nnf: np.ndarray
    colors: np.ndarray
    exemplar: Exemplar


@dataclass(frozen=True)
class _Level:
    """One level, of N samples.

    Attributes:
        number: from 0, the coarsest.
        samples: of the surface.
        normals: (N, 3) float32, of the samples' faces as the mesh winds them.
        exemplar: the reference at this resolution.
        fixed: (N,) bool, the samples whose colours are known.
    """

    number: int
    samples: Samples
    normals: np.ndarray
    exemplar: Exemplar
    fixed: np.ndarray

    @property
    def free(self) -> np.ndarray:
        """(M,) int64 samples to paint."""
        return np.flatnonzero(~self.fixed)


def synthesize(
    surface: Surface,
    outward: np.ndarray,
    projection: Projection,
    look_up_known: ColorLookup,
    guess: ColorGuess,
    seed: int,
    progress: Callable[[float], None],
    config: SynthesisConfig = SynthesisConfig(),
) -> Synthesis | None:
    """Paints what is not known, level by level.

    Args:
        surface: the mesh, in normalised space.
        outward: (F, 3) float32 unit normals of its faces.
        projection: where patches come from.
        look_up_known: what the reference shows of points, and what else is settled.
        guess: a first colour for every point, smooth.
        seed: of all random choices.
        progress: called with the fraction done.
        config: tuned numbers.

    Returns:
        None where the reference shows too little to copy from.
    """
    # What all levels share: the orientation field and the shape.
    cells_per_level = limit_cells(surface, outward, seed, config)
    face, points, normals = sample_points(surface, outward, cells_per_level[1], seed, config.sampling)
    colors, trust = projection.look_up(points, surface.face_normals[face])
    shown = trust > config.known_trust
    if not shown.any():
        return None
    orientation = _build_field(points, normals, colors, shown, projection, config.orientation)
    shape, before, pattern = measure_shape(surface, points, normals, config.guides), None, 0.0
    for number, cells in enumerate(cells_per_level):
        samples = sample_surface(surface, outward, cells, orientation, seed, config.sampling)
        exemplar = build_exemplar(projection, surface, orientation, samples.spacing, config.exemplar)
        own_normals = surface.face_normals[samples.face]
        colors, trust = look_up_known(samples.points, own_normals)
        level = _Level(number, samples, own_normals, exemplar, fixed=trust > config.known_trust)
        # What is usable depends on shading normals and what is known on the triangles' own: one may be where
        # the other is not.
        too_few = min(exemplar.usable.sum(), len(samples)) < config.min_samples
        if too_few or level.fixed.all() or not level.fixed.any():
            return None
        # Start from what is known, and from the level before.
        nnf, colors = _project_known(level, projection, colors, config)
        colors, confidence = _guess_free_colors(level, colors, guess, orientation.axis, config)
        if before is None:
            pattern = stationarity(exemplar, samples.spacing, config.seam)
        else:
            _upsample_nnf(*before, level, nnf)
        # Search; on the coarsest level from the seam outwards first.
        state = _build_state(level, colors, orientation.axis, confidence, shape, pattern, seed, config)
        if before is None:
            nnf, colors = _advance_front(state, nnf, colors, level.fixed, confidence, config)
        else:
            colors = vote(state, nnf, np.zeros(len(nnf), np.float32), colors)
        nnf, colors = _search_and_vote(state, nnf, colors, level, config)
        before = level, nnf
        progress((number + 1) / len(cells_per_level))
    # The finest NNF, in pixels of the full resolution.
    nnf[:, :2] /= exemplar.scale
    full = build_exemplar(projection, surface, orientation, None, config.exemplar)
    return Synthesis(samples, nnf, colors, full)


def limit_cells(
    surface: Surface, outward: np.ndarray, seed: int, config: SynthesisConfig = SynthesisConfig()
) -> list[int]:
    """Samples along the longest side per level, coarse to fine: the configured ones, or fewer where the
    surface would get more than about ``max_samples``."""
    coarsest = config.levels[0].cells
    count = len(sample_points(surface, outward, coarsest, seed, config.sampling)[0])
    most = int(coarsest * np.sqrt(config.max_samples / count))
    return [min(level.cells, most) for level in config.levels]


def _build_field(
    points: np.ndarray,
    normals: np.ndarray,
    colors: np.ndarray,
    shown: np.ndarray,
    projection: Projection,
    config: OrientationConfig,
) -> OrientationField:
    """The orientation field of a surface, from points (N, 3) all over it; the reference gives colours (N, 3)
    of those ``shown`` (N,)."""
    axis = find_main_axis(points[shown], normals[shown], colors[shown], config)
    away = -projection.buffer.camera.rotation[:, 2]
    away -= (away @ axis) * axis
    away = away / max(np.linalg.norm(away), 1e-9)
    center = fit_revolution_center(axis, points, normals, config)
    return OrientationField(points, normals, axis, level_direction=away, center=center, config=config)


def _advance_front(
    state: LevelState,
    nnf: np.ndarray,
    colors: np.ndarray,
    fixed: np.ndarray,
    confidence: np.ndarray,
    config: SynthesisConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Paints band after band of samples, away from what is known, so that each continues what is painted.

    Returns:
        NNF and colours of all samples, (N, 3) float32 each.
    """
    distance, _ = geodesic_distances(state.samples, fixed)
    # No paint advances to what is cut off: it begins in its constant colour, not in the colours that lie
    # around it.
    colors = np.where(np.isinf(distance)[:, None], state.fallback_color, colors)
    order = state.free[np.argsort(distance[state.free], kind="stable")]
    distance = distance[order]
    last = float(np.max(distance, where=np.isfinite(distance), initial=0.0))
    step, occurrence = config.front_step, None
    for number in range(int(last / step) + 2):
        # The active samples: those just reached, and some bands before. The last steps take what is cut off.
        reached = np.searchsorted(distance, step * (number + 1)) if step * number < last else len(order)
        begun = np.searchsorted(distance, step * (number - config.front_depth))
        active = np.sort(order[begun:reached])
        front = replace(state, free=active, candidates=state.candidates[np.searchsorted(state.free, active)])
        # What is not painted yet counts as far as the rotational-symmetry prior is sure of it.
        painted = np.zeros(len(nnf), bool)
        painted[order[:reached]] = True
        trust = np.where(painted, config.painted_trust, config.painted_trust * confidence)
        trust = np.where(fixed, 1.0, trust).astype(np.float32)
        for repeat in range(config.front_rounds):
            occurrence = occurrence_map(front, nnf, occurrence)
            nnf, costs = propagate_and_search(
                front, nnf, colors, trust, occurrence, config.front_rounds * number + repeat
            )
            colors = vote(front, nnf, costs, colors)
    return nnf, colors


def _search_and_vote(
    state: LevelState, nnf: np.ndarray, colors: np.ndarray, level: _Level, config: SynthesisConfig
) -> tuple[np.ndarray, np.ndarray]:
    """NNF and colours of all samples, (N, 3) float32 each, after the level's rounds all over the hidden
    surface."""
    trust = np.where(level.fixed, 1.0, config.painted_trust).astype(np.float32)
    occurrence = None
    for number in range(config.levels[level.number].rounds):
        occurrence = occurrence_map(state, nnf, occurrence)
        nnf, costs = propagate_and_search(state, nnf, colors, trust, occurrence, 1000 * level.number + number)
        colors = vote(state, nnf, costs, colors)
    return nnf, colors


def _project_known(
    level: _Level, projection: Projection, colors: np.ndarray, config: SynthesisConfig
) -> tuple[np.ndarray, np.ndarray]:
    """NNF (N, 3) float32 of the samples that the reference itself shows, NaN elsewhere; and all colours (N,
    3), given those of the fixed samples."""
    samples, exemplar = level.samples, level.exemplar
    colors = colors.copy()
    nnf = np.full((len(samples), 3), np.nan, np.float32)
    _, trust = projection.look_up(samples.points, level.normals)
    shown = np.flatnonzero(trust > config.known_trust)
    pixels = projection.buffer.camera.project(samples.points[shown].astype(np.float64))[0] * exemplar.scale
    height, width = exemplar.usable.shape
    inside = (pixels >= 0).all(axis=1) & (pixels < (width, height)).all(axis=1)
    shown, pixels = shown[inside], pixels[inside]
    row, column = pixels[:, 1].astype(int), pixels[:, 0].astype(int)
    # Compared with patches of the shrunk reference, what is known has to be as soft.
    colors[shown] = exemplar.colors[row, column]
    same_side = (exemplar.frames[row, column, 2] * samples.normals[shown]).sum(axis=1) > 0.5
    square = exemplar.usable[row, column] & same_side
    nnf[shown[square], :2] = pixels[square]
    nnf[shown[square], 2] = 0
    return nnf, colors


def _guess_free_colors(
    level: _Level, colors: np.ndarray, guess: ColorGuess, axis: np.ndarray, config: SynthesisConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (N, 3) with those of the free samples guessed, from rings where these are sure; and the rings'
    confidence (N,) float32, 0 for fixed samples."""
    colors, free = colors.copy(), level.free
    expected, confidence = predict_from_rings(
        level.samples, axis, colors, np.flatnonzero(level.fixed), free, config.rings
    )
    guessed = guess(level.samples.points[free], level.normals[free])
    colors[free] = guessed + confidence[:, None] * (expected - guessed)
    everywhere = np.zeros(len(level.samples), np.float32)
    everywhere[free] = confidence
    return colors, everywhere


def _upsample_nnf(coarse: _Level, coarse_nnf: np.ndarray, fine: _Level, nnf: np.ndarray) -> None:
    """Fills ``nnf`` (N, 3) for the free samples of the fine level: each continues the patch of the nearest
    coarse sample, or has none where that has the constant colour."""
    samples, free = fine.samples, fine.free
    # The nearest coarse sample that was painted, on the same side of the surface.
    painted = np.flatnonzero(np.isfinite(coarse_nnf[:, 0]) | ~coarse.fixed)
    points, normals, weight = coarse.samples.points, coarse.samples.normals, 0.3 * coarse.samples.spacing
    tree = cKDTree(np.hstack([points[painted], weight * normals[painted]]))
    _, near = tree.query(np.hstack([samples.points[free], weight * samples.normals[free]]), workers=-1)
    near = painted[near]
    has_patch = np.isfinite(coarse_nnf[near, 0])
    near, free = near[has_patch], free[has_patch]
    match = coarse_nnf[near]
    # The fine sample in the coarse one's frame: its offset (M, 2) and first tangent (M, 2).
    offset = np.einsum("nax,nx->na", coarse.samples.frames[near], samples.points[free] - points[near])
    tangent = np.einsum("nax,nx->na", coarse.samples.frames[near], samples.frames[free, 0])
    # Rotated into the exemplar's frame, and moved to its pixels by the Jacobian.
    cosine, sine = np.cos(match[:, 2]), np.sin(match[:, 2])
    along = np.stack(
        [cosine * offset[:, 0] - sine * offset[:, 1], sine * offset[:, 0] + cosine * offset[:, 1]], axis=1
    )
    row, column = match[:, 1].astype(int), match[:, 0].astype(int)
    place = match[:, :2] + np.einsum("nij,nj->ni", coarse.exemplar.jacobian[row, column], along)
    height, width = coarse.exemplar.usable.shape
    inside = (place >= 0).all(axis=1) & (place < (width, height)).all(axis=1)
    place[~inside] = match[~inside, :2]
    # The angle changes by the turn of either frame.
    there = coarse.exemplar.frames[place[:, 1].astype(int), place[:, 0].astype(int), 0]
    exemplar_tangent = np.einsum("nax,nx->na", coarse.exemplar.frames[row, column, :2], there)
    scale, (height, width) = fine.exemplar.scale / coarse.exemplar.scale, fine.exemplar.usable.shape
    nnf[free, :2] = np.clip(place * scale, 0, np.array((width, height)) - 0.01)
    nnf[free, 2] = (
        match[:, 2]
        + np.arctan2(tangent[:, 1], tangent[:, 0])
        - np.arctan2(exemplar_tangent[:, 1], exemplar_tangent[:, 0])
    )


def _build_state(
    level: _Level,
    colors: np.ndarray,
    axis: np.ndarray,
    confidence: np.ndarray,
    shape: SurfaceShape,
    pattern: float,
    seed: int,
    config: SynthesisConfig,
) -> LevelState:
    """The state of one level's search.

    Args:
        level: the samples and the exemplar.
        colors: (N, 3) float32 sRGB 0..1.
        axis: (3,) main axis.
        confidence: (N,) float32 of the rotational-symmetry prior.
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
    # Rings around the main axis.
    rings, exemplar_rings = _build_ring_features(level, axis, config.ring_width)
    # Candidates: pixels with similar guides; where rings mean something, every other one of the same ring.
    candidates = find_candidates(guides[free], exemplar_guides, usable_pixels, seed, config.guides)
    ringed = confidence[free] > config.ring_confidence
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
        ring_weight=config.ring_cost * confidence,
        guides=guides,
        exemplar_guides=exemplar_guides,
        parts=part,
        exemplar_parts=exemplar_part,
        part_mismatch=np.float32(numbers.guide_strength * config.part_cost) * dissimilarity,
        fallback_color=fallback_color,
        fallback_cost=fallback_cost + config.ring_fallback_cost * confidence,
        usable_pixels=usable_pixels,
        candidates=candidates,
        inverse_variance=inverse_variance,
        occurrence_weight=occurrence_weight,
        seed=seed,
    )


def _build_guides(
    level: _Level,
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


def _build_ring_features(level: _Level, axis: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Ring features (N, 3) of samples and (H, W, 3) of the exemplar, float32, in units of ``width``
    spacings."""
    samples, exemplar = level.samples, level.exemplar
    scale = 1 / (width * samples.spacing)
    own = (scale * ring_features(axis, samples.points, samples.normals)).astype(np.float32)
    theirs = np.zeros((*exemplar.usable.shape, 3), np.float32)
    points, normals = exemplar.points[exemplar.usable], exemplar.frames[exemplar.usable][:, 2]
    theirs[exemplar.usable] = scale * ring_features(axis, points, normals)
    return own, theirs
