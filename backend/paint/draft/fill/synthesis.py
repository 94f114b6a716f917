"""The hidden surface, synthesised from patches of what the reference shows (image analogies, Hertzmann et al.
2001).

Coarse to fine, samples of the surface look for the place of the exemplar whose patch fits what is painted
around them and whose guides are like theirs; what the patches copy is averaged, and the search starts again
from there (Wexler et al. 2007). A place of the exemplar costs more, the more samples copy it (Kaspar et al.
2015), so that no blotch is repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ....mesh.surface import Surface
from ..image.pictures import Pictures
from ..image.projection import Projection
from .config import DEFAULT_CONFIG, SynthesisConfig
from .exemplar import Exemplar, build_exemplar
from .guides import measure_shape, nearest_samples
from .level import ColorGuess, Level, guess_free_colors, project_known, upsample_nnf
from .level_state import LevelState, occurrence_map
from .orientation_field import OrientationConfig, OrientationField, find_main_axis
from .patchmatch import propagate_and_search, vote
from .revolution import Revolution, RoundSurface
from .samples import Samples, sample_points, sample_surface
from .seam_prior import geodesic_distances, stationarity
from .state_builder import build_state
from .turning_prior import predict_by_turning

ColorLookup = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``look_up(points (N, 3), normals (N, 3), face (N,)) -> (colors (N, 3), trust (N,))``: what is known of
points of the surface."""


@dataclass(frozen=True)
class Synthesis:
    """A surface painted with patches of an exemplar.

    Attributes:
        samples: of the surface.
        nnf: (N, 3) float32 nearest-neighbour field: column, row and angle in the exemplar, see
            :mod:`.patchmatch`; NaN where nothing is copied.
        colors: (N, 3) float32 sRGB 0..1 of the samples, which stand where nothing is copied.
        exemplar: the pictures at full resolution.
    """

    samples: Samples
    nnf: np.ndarray
    colors: np.ndarray
    exemplar: Exemplar


def synthesize(
    surface: Surface,
    outward: np.ndarray,
    pictures: Projection | Pictures,
    look_up_known: ColorLookup,
    guess: ColorGuess,
    seed: int,
    progress: Callable[[float], None],
    config: SynthesisConfig = DEFAULT_CONFIG,
) -> Synthesis | None:
    """Paints what is not known, level by level.

    Args:
        surface: the mesh, in normalised space.
        outward: (F, 3) float32 unit normals of its faces.
        pictures: where patches come from.
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
    colors, trust = pictures.look_up(points, surface.face_normals[face], face)
    shown = trust > config.known_trust
    if not shown.any():
        return None
    round_surface = RoundSurface(points, normals, 1 / cells_per_level[1], config.revolution)
    revolution = round_surface.find_revolution(shown, colors)
    orientation = _build_field(points, normals, colors, shown, pictures, revolution, config.orientation)
    rings = None

    if orientation.center is not None:

        def look_up_near(places: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return look_up_known(places, surface.face_normals[face[near]], face[near])

        rings = partial(predict_by_turning, round_surface, revolution, look_up_near, config=config.turning)
    shape, before, pattern = measure_shape(surface, points, normals, config.guides), None, 0.0
    for number, cells in enumerate(cells_per_level):
        samples = sample_surface(surface, outward, cells, orientation, seed, config.sampling)
        exemplar = build_exemplar(
            pictures.projections, surface, orientation, samples.spacing, config.exemplar
        )
        own_normals = surface.face_normals[samples.face]
        colors, trust = look_up_known(samples.points, own_normals, samples.face)
        level = Level(number, samples, own_normals, exemplar, fixed=trust > config.known_trust)
        # What is usable depends on shading normals and what is known on the triangles' own: one may be where
        # the other is not.
        too_few = min(exemplar.usable.sum(), len(samples)) < config.min_samples
        if too_few or level.fixed.all() or not level.fixed.any():
            return None
        # Start from what is known, and from the level before.
        nnf, colors = project_known(level, pictures, colors, config)
        colors, confidence, ring_cost = guess_free_colors(
            level, colors, guess, rings, orientation.axis, config
        )
        if before is None:
            part = shape.part[samples.face][nearest_samples(samples, exemplar)]
            pattern = stationarity(exemplar, part, samples.spacing, config.seam)
        else:
            upsample_nnf(*before, level, nnf)
        # Search; on the coarsest level from the seam outwards first.
        state = build_state(level, colors, orientation, confidence, ring_cost, shape, pattern, seed, config)
        if before is None:
            nnf, colors = _advance_front(state, nnf, colors, level.fixed, confidence, config)
        else:
            colors = vote(state, nnf, np.zeros(len(nnf), np.float32), colors)
        nnf, colors = _search_and_vote(state, nnf, colors, level, config)
        before = level, nnf
        progress((number + 1) / len(cells_per_level))
    # The finest NNF, in pixels of the full resolution.
    full = build_exemplar(pictures.projections, surface, orientation, None, config.exemplar)
    nnf[:, :2] = exemplar.convert(nnf[:, :2], full)
    return Synthesis(samples, nnf, colors, full)


def limit_cells(
    surface: Surface, outward: np.ndarray, seed: int, config: SynthesisConfig = DEFAULT_CONFIG
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
    pictures: Projection | Pictures,
    revolution: Revolution | None,
    config: OrientationConfig,
) -> OrientationField:
    """The orientation field of a surface, from points (N, 3) all over it; the reference gives colours (N, 3)
    of those ``shown`` (N,)."""
    known = normals[shown], colors[shown]
    if revolution is None:
        axis, center = find_main_axis(points[shown], *known, config), None
    else:
        # Upright stripes do not repeat around the axis of what they are on.
        axis = find_main_axis(points[shown] - revolution.center, *known, config, revolution.axis)
        center = revolution.center if axis is revolution.axis else None
    away = -pictures.lead.buffer.camera.rotation[:, 2]
    away -= (away @ axis) * axis
    away = away / max(np.linalg.norm(away), 1e-9)
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
    state: LevelState, nnf: np.ndarray, colors: np.ndarray, level: Level, config: SynthesisConfig
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
