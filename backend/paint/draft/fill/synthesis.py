"""The hidden surface, painted with patches of what the reference shows (image analogies, Hertzmann et al.
2001).

Coarse to fine, samples of the surface look for the place of the reference whose patch fits what is painted
around them and whose guides are like theirs; what the patches copy is mixed, and the search goes on from
there (Wexler et al. 2007). A use of the same place costs the more the more samples use it (Kaspar et al.
2015), so that no blotch is repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from ....mesh.surface import Surface
from ..image.projection import Projection
from .exemplar import Source, source
from .guides import Shape, guides, hints, hollows, same_place, shape_of, unlike
from .level_state import Problem, count_uses
from .orientation_field import Field, around, explained, main_axis, middle_of_revolution
from .patchmatch import improve, vote
from .rotational_prior import expect
from .samples import Samples, sample, spread
from .seam_prior import broad, foretold, origins, patterned, plain, ways

LEVELS = 60, 110, 180
"""Samples along the longest side of the mesh, coarse to fine."""

MOST = 220_000
"""Samples of a level, about: a cube's on the finest. Foliage, with many times its surface, would take minutes
and gigabytes."""

ROUNDS = 8, 8, 5
"""Of search and vote, per level."""

FRONT = 1.5
"""Spacings by which the paint first advances over the hidden surface, away from what is known."""

RIPE, SWEEPS = 4, 2
"""Advances after which a ring of samples is left alone, and searches per advance."""

GUIDED = 1.0, 0.6, 0.35
"""How strongly the guides hold, per level: what is copied is settled on the coarsest."""

FORETOLD = 0.5
"""What it costs, as a guide, to copy from where the broad colour differs as by chance from that of the
nearest painted surface."""

OTHER = 0.5
"""What it costs, as a guide, to copy from a part that is of other colours altogether."""

USAGE = 0.03, 0.04, 0.01
"""What a use costs per even share of uses, against 1 for a patch of random colours, per level, where the
picture is one pattern. Elsewhere it costs nothing: the back of a head needs no face, however little of the
hair is shown."""

PRINTED = 8.0
"""How many times that on the coarsest level where the picture is print: its plain ground is the easier copy,
and lines would go missing."""

UPRIGHT = 2.0
"""How much directions mean everywhere where the picture is print, against 1: it is read one way, on level
faces too."""

FEWEST = 50
"""Samples and pixels without which there is nothing to paint or nothing to copy."""

RING, WIDTH = 0.6, 1.5
"""What it costs to copy from another ring around the main axis where rings are of one colour, and spacings by
which rings differ."""

RINGED = 0.2
"""What it costs to go on plain there."""

Look = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``look(points (N, 3), normals (N, 3)) -> (colors (N, 3), trust (N,))``: what is known of points of the
surface."""

Guess = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``guess(points (N, 3), normals (N, 3)) -> colors (N, 3)`` where nothing is known."""


@dataclass(frozen=True)
class Patchwork:
    """A surface painted with pieces of a picture.

    Attributes:
        samples: of the surface.
        maps: (N, 3) float32: column and row in the picture, and the turn, see :mod:`.patchmatch`; NaN where
            nothing is copied.
        colors: (N, 3) float32 sRGB 0..1 of the samples, for want of a map.
        source: the picture at full resolution.
    """

    samples: Samples
    maps: np.ndarray
    colors: np.ndarray
    source: Source


def synthesize(
    surface: Surface,
    outward: np.ndarray,
    projection: Projection,
    known: Look,
    guess: Guess,
    seed: int,
    progress: Callable[[float], None],
) -> Patchwork | None:
    """Paints what is not known.

    Args:
        surface: the mesh.
        outward: (F, 3) float32 unit normals of its faces.
        projection: where patches come from.
        known: what the picture shows of points, and what else is settled.
        guess: a first colour for every point, smooth.
        seed: of all choices.
        progress: told the fraction done.

    Returns:
        None where the picture shows too little to copy from.
    """
    levels = levels_of(surface, outward, seed)
    face, points, normals = spread(surface, outward, levels[1], seed)
    colors, trust = projection.look_up(points, surface.face_normals[face])
    shown = trust > 0.5
    if not shown.any():
        return None
    axis = main_axis(points[shown], normals[shown], colors[shown])
    away = -projection.buffer.camera.rotation[:, 2]
    away -= (away @ axis) * axis
    field = Field(
        points,
        normals,
        axis,
        away / max(np.linalg.norm(away), 1e-9),
        middle_of_revolution(axis, points, normals),
    )
    shape, before, pattern = shape_of(surface, points, normals), None, 0.0
    for level, cells in enumerate(levels):
        samples = sample(surface, outward, cells, field, seed)
        shrunk = source(projection, surface, field, samples.spacing)
        own = surface.face_normals[samples.face]
        colors, trust = known(samples.points, own)
        fixed = trust > 0.5
        # What is usable depends on shading normals and what is known on the triangles' own: one may be where
        # the other is not.
        if min(shrunk.usable.sum(), len(samples)) < FEWEST or fixed.all() or not fixed.any():
            return None
        free = np.flatnonzero(~fixed)
        maps, colors, sure = _start(samples, own, shrunk, projection, fixed, colors, guess, field.axis)
        if before is None:
            pattern = patterned(shrunk, samples.spacing)
        else:
            _carry(before, samples, shrunk, free, maps)
        problem = _problem(
            samples, shrunk, free, fixed, colors, field.axis, sure, shape, pattern, level, seed
        )
        if before is None:
            maps, colors = _grow(problem, maps, colors, fixed, sure)
        else:
            colors = vote(problem, maps, np.zeros(len(maps), np.float32), colors)
        uses = None
        for number in range(ROUNDS[level]):
            uses = count_uses(problem, maps, uses)
            trust = np.where(fixed, 1.0, 0.7).astype(np.float32)
            maps, costs = improve(problem, maps, colors, trust, uses, 1000 * level + number)
            colors = vote(problem, maps, costs, colors)
        before = samples, shrunk, maps, fixed
        progress((level + 1) / len(LEVELS))
    whole = source(projection, surface, field, None)
    maps[:, :2] /= shrunk.scale
    return Patchwork(samples, maps, colors, whole)


def levels_of(surface: Surface, outward: np.ndarray, seed: int) -> list[int]:
    """Samples along the longest side, coarse to fine: LEVELS, but not more than about MOST all over the
    surface."""
    count = len(spread(surface, outward, LEVELS[0], seed)[0])
    return [min(cells, int(LEVELS[0] * np.sqrt(MOST / count))) for cells in LEVELS]


def _grow(
    problem: Problem, maps: np.ndarray, colors: np.ndarray, fixed: np.ndarray, sure: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paints ring after ring of samples, away from what is known, so that each goes on from what is there."""
    way, _ = ways(problem.samples, fixed)
    # No paint advances to what is cut off: it begins as plain as what it goes on from, not in the colours
    # that lie around it.
    colors = np.where(np.isinf(way)[:, None], problem.plain, colors)
    order = problem.free[np.argsort(way[problem.free], kind="stable")]
    way = way[order]
    last = float(np.max(way, where=np.isfinite(way), initial=0.0))
    uses = None
    for number in range(int(last / FRONT) + 2):
        reached = np.searchsorted(way, FRONT * (number + 1)) if FRONT * number < last else len(order)
        begun = np.searchsorted(way, FRONT * (number - RIPE))
        active = np.sort(order[begun:reached])
        ring = replace(problem, free=active, hints=problem.hints[np.searchsorted(problem.free, active)])
        painted = np.zeros(len(maps), bool)
        painted[order[:reached]] = True
        trust = np.where(fixed, 1.0, np.where(painted, 0.7, 0.7 * sure)).astype(np.float32)
        for sweep in range(SWEEPS):
            uses = count_uses(ring, maps, uses)
            maps, costs = improve(ring, maps, colors, trust, uses, SWEEPS * number + sweep)
            colors = vote(ring, maps, costs, colors)
    return maps, colors


def _start(
    samples: Samples,
    normals: np.ndarray,
    shrunk: Source,
    projection: Projection,
    fixed: np.ndarray,
    colors: np.ndarray,
    guess: Guess,
    axis: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The maps of the samples that the picture itself shows; all colours, given those of the fixed ones; how
    sure the free ones' are."""
    colors = colors.copy()
    maps = np.full((len(samples), 3), np.nan, np.float32)
    _, own = projection.look_up(samples.points, normals)
    shown = np.flatnonzero(own > 0.5)
    pixels = projection.buffer.camera.project(samples.points[shown].astype(np.float64))[0] * shrunk.scale
    height, width = shrunk.usable.shape
    inside = (pixels >= 0).all(axis=1) & (pixels < (width, height)).all(axis=1)
    shown, pixels = shown[inside], pixels[inside]
    row, column = pixels[:, 1].astype(int), pixels[:, 0].astype(int)
    # Compared with patches of the shrunk picture, what is known has to be as soft.
    colors[shown] = shrunk.colors[row, column]
    square = shrunk.usable[row, column] & (
        (shrunk.frames[row, column, 2] * samples.normals[shown]).sum(axis=1) > 0.5
    )
    maps[shown[square], :2] = pixels[square]
    maps[shown[square], 2] = 0
    free, settled = np.flatnonzero(~fixed), np.flatnonzero(fixed)
    expected, sure = expect(
        axis,
        samples.points,
        samples.normals,
        colors,
        settled,
        free,
        samples.spacing,
        max(float(colors[settled].var(axis=0).sum()), 1e-3),
    )
    guessed = guess(samples.points[free], normals[free])
    colors[free] = guessed + sure[:, None] * (expected - guessed)
    everywhere = np.zeros(len(samples), np.float32)
    everywhere[free] = sure
    return maps, colors, everywhere


def _carry(
    before: tuple[Samples, Source, np.ndarray, np.ndarray],
    samples: Samples,
    shrunk: Source,
    free: np.ndarray,
    maps: np.ndarray,
) -> None:
    """Free samples go on with the map of the nearest sample of the level before, or without one where that is
    plain."""
    coarse, picture, old, settled = before
    mapped = np.flatnonzero(np.isfinite(old[:, 0]) | ~settled)
    tree = cKDTree(np.hstack([coarse.points[mapped], 0.3 * coarse.spacing * coarse.normals[mapped]]))
    _, near = tree.query(
        np.hstack([samples.points[free], 0.3 * coarse.spacing * samples.normals[free]]), workers=-1
    )
    near = mapped[near]
    drawn = np.isfinite(old[near, 0])
    near, free = near[drawn], free[drawn]
    offset = np.einsum("nax,nx->na", coarse.frames[near], samples.points[free] - coarse.points[near])
    turned = np.einsum("nax,nx->na", coarse.frames[near], samples.frames[free, 0])
    cosine, sine = np.cos(old[near, 2]), np.sin(old[near, 2])
    along = np.stack(
        [cosine * offset[:, 0] - sine * offset[:, 1], sine * offset[:, 0] + cosine * offset[:, 1]], axis=1
    )
    row, column = old[near, 1].astype(int), old[near, 0].astype(int)
    place = old[near, :2] + np.einsum("nij,nj->ni", picture.steps[row, column], along)
    height, width = picture.usable.shape
    inside = (place >= 0).all(axis=1) & (place < (width, height)).all(axis=1)
    place[~inside] = old[near[~inside], :2]
    there = picture.frames[place[:, 1].astype(int), place[:, 0].astype(int), 0]
    source_turn = np.einsum("nax,nx->na", picture.frames[row, column, :2], there)
    maps[free, :2] = np.clip(
        place * (shrunk.scale / picture.scale), 0, np.array(shrunk.usable.shape[::-1]) - 0.01
    )
    maps[free, 2] = (
        old[near, 2]
        + np.arctan2(turned[:, 1], turned[:, 0])
        - np.arctan2(source_turn[:, 1], source_turn[:, 0])
    )


def _problem(
    samples: Samples,
    shrunk: Source,
    free: np.ndarray,
    fixed: np.ndarray,
    colors: np.ndarray,
    axis: np.ndarray,
    sure: np.ndarray,
    shape: Shape,
    pattern: float,
    level: int,
    seed: int,
) -> Problem:
    """What one level's search is about; ``pattern``: :func:`.seam_prior.patterned`."""
    places = np.argwhere(shrunk.usable).astype(np.int32)
    shown = shrunk.colors[shrunk.usable]
    gain = 1 / (2 * max(float(shown.var(axis=0).sum()), 1e-3))
    near = same_place(samples, shrunk)
    slot = shape.slot[samples.face]
    part, source_part, between = unlike(shape.part[samples.face], slot, shrunk, near)
    if shrunk.printed:
        samples = replace(samples, steady=np.full_like(samples.steady, UPRIGHT))
    # A part says nothing of the next one that has other colours.
    samples = replace(
        samples, weights=samples.weights * (1 - between[part[:, None], part[samples.neighbors]])
    )
    origin = origins(samples, fixed, slot)
    own, theirs = _guided(samples, shrunk, fixed, colors, origin, shape, near, gain, GUIDED[level])
    usage = pattern * USAGE[level] * (PRINTED if shrunk.printed and level == 0 else 1.0)
    plain_colors, bare = plain(samples, fixed, colors, origin, shrunk, gain)
    scale = 1 / (WIDTH * samples.spacing)
    rings = (scale * around(axis, samples.points, samples.normals)).astype(np.float32)
    source_rings = np.zeros((*shrunk.usable.shape, 3), np.float32)
    source_rings[shrunk.usable] = scale * around(
        axis, shrunk.points[shrunk.usable], shrunk.frames[shrunk.usable][:, 2]
    )
    return Problem(
        samples,
        shrunk,
        ~fixed,
        free,
        rings,
        source_rings,
        RING * sure,
        own,
        theirs,
        part,
        source_part,
        np.float32(GUIDED[level] * OTHER) * between,
        plain_colors,
        bare + RINGED * sure,
        places,
        _hints(own, theirs, rings, source_rings, sure, free, places, seed),
        gain,
        usage,
        seed,
    )


def _guided(
    samples: Samples,
    shrunk: Source,
    fixed: np.ndarray,
    colors: np.ndarray,
    origin: np.ndarray,
    shape: Shape,
    near: np.ndarray,
    gain: float,
    most: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Guides of samples and source. They count as much as they explain of the picture: what does not follow
    the shape there will not elsewhere."""
    own, theirs = guides(samples, shrunk, near)
    hollow, source_hollow = hollows(samples, shrunk, near, shape)
    settled = np.flatnonzero(fixed)
    settled = settled[np.linspace(0, len(settled) - 1, min(len(settled), 5000)).astype(int)]
    share, dark = (
        explained(guide[settled], samples.points[settled], colors[settled]) for guide in (own, hollow)
    )
    strength, deep = (
        np.float32(most * np.clip(1.5 * share, 0.1, 1)),
        np.float32(most * np.clip(1.5 * dark, 0, 1)),
    )
    hold = np.float32(np.sqrt(FORETOLD * gain))
    own = np.hstack(
        [strength * own, strength * hold * foretold(samples, fixed, colors, origin), deep * hollow]
    )
    theirs = np.concatenate(
        [strength * theirs, strength * hold * broad(shrunk, samples.spacing), deep * source_hollow], axis=2
    )
    return own, theirs


def _hints(own, theirs, rings, source_rings, sure, free, places, seed) -> np.ndarray:
    """Places with like guides, and where rings mean something, with the same ring instead."""
    found = hints(own[free], theirs, places, seed)
    ringed = sure[free] > 0.1
    if ringed.any():
        found[ringed, ::2] = hints(rings[free[ringed]], source_rings, places, seed)[:, ::2]
    return found
