"""From where the reference was taken: the camera under which the mesh's outline is the object's outline.

Coarse: outlines of the voxels from a sphere of directions, compared after fitting their boxes. Fine: points
on the rendered outline are pulled onto the reference's outline by least squares over all camera parameters,
re-rendering between rounds.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from scipy.optimize import least_squares

from ....mesh.surface import Surface, triangle_areas
from ....mesh.voxels import cell_of, keys_of, voxelize
from ....render.rasterize import rasterize
from .feature_edges import InnerEdges
from .outline import depths, looseness, overlap, rim, rim_points, shrunk, signed_distance
from .ranking import FLOOR, RIVAL, Match, View, angle_between, apart, choose, unlikeliness

GRID = 64
"""Width in pixels of the outlines that the coarse search compares."""

STARTS = 6
"""Best directions of the coarse search that are refined."""

USUAL_DISTANCE = 2.5
"""Longest sides of the mesh between it and the camera, where the outline leaves that open."""

MOST_RIVALS = 4
"""Different views that are looked at more closely."""

EXACTNESS_SIZE = 512
"""Longer side in pixels of the image on which the difference of the outlines is measured in degrees."""

SIMPLIFIED_CELLS = 128
"""Cells along the longest side of the mesh that stands in for a heavy one at low resolution; its outline errs
by a fraction of one."""

KEPT = 0.5
"""Share of a heavy mesh's area that its stand-in has to keep; of leaves smaller than a cell hardly anything
would be left."""


def find_view(
    surface: Surface,
    alpha: np.ndarray,
    direction: tuple[float, float] | None,
    progress: Callable[[float], None],
    color: np.ndarray | None = None,
) -> Match:
    """The view of the reference.

    Args:
        surface: the mesh.
        alpha: (H, W) float32, the object in the reference.
        direction: (azimuth, elevation) in degrees where the user gave them; they are then kept, and the
            picture is taken as upright.
        progress: told the fraction done.
        color: (H, W, 3) float32 sRGB, whose edges tell apart views of one outline.
    """
    keep = direction is not None
    starts = coarse_views(surface, alpha > 0.5, direction)
    progress(0.3)
    light = simplified(surface)
    matches = []
    for start in starts:
        matches.append(refine(light, alpha, start, 192, 6, keep))
        progress(0.3 + 0.4 * len(matches) / len(starts))
    matches.sort(key=lambda match: match.error)
    rivals = [match for match in apart(matches) if match.error < RIVAL * matches[0].error + FLOOR]
    rivals = [
        refine(light, alpha, rival.view, min(384, max(alpha.shape)), 6, keep)
        for rival in rivals[:MOST_RIVALS]
    ]
    progress(0.8)
    best = choose(surface, rivals, None if color is None else InnerEdges(color, alpha))
    found = refine(surface, alpha, best.view, min(1024, max(alpha.shape)), 6, keep)
    loose = 0.0 if keep else looseness(surface, alpha, found.view, min(EXACTNESS_SIZE, max(alpha.shape)))
    return replace(found, confidence=best.confidence, degrees=loose)


def simplified(surface: Surface) -> Surface:
    """The surface with all vertices of a small cell as one: enough for small outlines, and quick to draw;
    itself where little is left."""
    if len(surface.faces) < 4 * SIMPLIFIED_CELLS**2:
        return surface
    keys = keys_of(cell_of(surface.vertices, SIMPLIFIED_CELLS), SIMPLIFIED_CELLS)
    _, first, cell = np.unique(keys, return_index=True, return_inverse=True)
    faces, kept = np.unique(np.sort(cell[surface.faces], axis=1), axis=0, return_index=True)
    kept = kept[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2])]
    light = replace(
        surface, vertices=surface.vertices[first], faces=cell[surface.faces[kept]].astype(np.int32)
    )
    before, after = (triangle_areas(mesh.vertices, mesh.faces).sum() for mesh in (surface, light))
    return light if after > KEPT * before else surface


def coarse_views(surface: Surface, mask: np.ndarray, direction: tuple[float, float] | None) -> list[View]:
    """The most promising views, best first, with the box of the outline already fitted."""
    points = voxelize(surface, GRID).positions.astype(np.float64)
    target = _normalised_outline(*np.nonzero(mask)[::-1])
    if direction is None:
        directions = [(a, e) for e in (-45, -30, -15, 0, 15, 30, 45, 60, 80) for a in range(-180, 180, 15)]
    else:
        directions = [direction]
    scored = []
    for azimuth, elevation in directions:
        for distance in (1.6, 3.5):
            pixels, _ = View(azimuth, elevation, 0, distance, 1, 0.5, 0.5).camera(1, 1).project(points)
            outline = _normalised_outline(*pixels.T)
            overlap = (outline & target).sum() / max((outline | target).sum(), 1)
            scored.append((overlap - unlikeliness(azimuth, elevation), azimuth, elevation, distance, pixels))
    scored.sort(key=lambda entry: -entry[0])
    chosen = []
    for _, azimuth, elevation, distance, pixels in scored:
        if all(
            angle_between(azimuth, elevation, view) > 20 or abs(distance - view.distance) > 1
            for view in chosen
        ):
            chosen.append(_fit_box(pixels, mask, azimuth, elevation, distance))
        if len(chosen) == STARTS:
            break
    return chosen


def _box(x, y):
    low, high = np.array([x.min(), y.min()], np.float64), np.array([x.max(), y.max()], np.float64)
    return (low + high) / 2, max(np.sqrt(np.prod(np.maximum(high - low, 1e-9))), 1e-6)


def _normalised_outline(x, y) -> np.ndarray:
    """(G, G) bool: points splatted so that their box has its centre in the middle and a fixed area."""
    centre, size = _box(x, y)
    place = np.column_stack([x, y]) - centre
    place = np.floor(place / size * (GRID * 0.55) + GRID / 2).astype(np.int64)
    inside = ((place >= 0) & (place < GRID)).all(axis=1)
    grid = np.zeros((GRID, GRID), np.uint8)
    grid[place[inside, 1], place[inside, 0]] = 1
    return cv2.morphologyEx(grid, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0


def _fit_box(pixels, mask, azimuth, elevation, distance) -> View:
    """The view whose projected points (on a unit image around (0.5, 0.5)) fill the mask's box."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    centre, size = _box(columns + 0.5, rows + 0.5)
    own_centre, own_size = _box(*pixels.T)
    zoom = size / own_size
    shift = centre - zoom * (own_centre - 0.5)
    return View(azimuth, elevation, 0, distance, zoom / width, shift[0] / width, shift[1] / height)


def refine(
    surface: Surface, alpha: np.ndarray, start: View, size: int, rounds: int, keep_direction: bool
) -> Match:
    """Pulls the rendered outline onto the reference's, at an image of at most ``size`` pixels."""
    target = shrunk(alpha, size)
    shape = target.shape[::-1]
    target_distance = signed_distance(target)
    outline, root = max(int(rim(target).sum()), 1), np.sqrt(max(int(target.sum()), 1))
    view, best = start, Match(start, -1.0, np.inf)
    for turn in range(rounds + 1):
        buffer = rasterize(surface.vertices, surface.faces, view.camera(*shape))
        shared = overlap(buffer.mask, target)
        if shared > best.overlap:
            best = Match(view, shared, float((buffer.mask ^ target).sum() / (outline * root)))
        if turn == rounds or not buffer.mask.any():
            break
        points, own_distance = rim_points(buffer)
        view = _pull(view, points, own_distance, target_distance, shape, keep_direction)
    return best


def _pull(
    view: View,
    points: np.ndarray,
    own_distance: np.ndarray,
    target_distance: np.ndarray,
    shape,
    keep_direction: bool,
) -> View:
    """One round: the view under which rim points are as deep inside the reference's outline as they are
    inside their own."""
    width, height = shape
    # Steps of equal effect: a degree, a few percent, a few pixels. Distance hardly shows in an outline, so it
    # is held by its prior.
    unit = np.array([2.0, 2.0, 2.0, 0.1, 0.02, 0.01, 0.01])
    prior = np.array([0.02, 0.02, 0.05, 0.05, 0.0, 0.0, 0.0]) * np.sqrt(len(points))
    free = np.array([*[not keep_direction] * 3, True, True, True, True])
    origin, there = view.numbers(), np.empty(len(points))

    def moved(step: np.ndarray) -> View:
        values = origin.copy()
        values[free] += step * unit[free]
        return View.of(values)

    def residuals(step: np.ndarray) -> np.ndarray:
        guess = moved(step)
        depths(points, guess.camera(width, height).pack(), target_distance, there)
        # What an outline does not tell (a ball's roll and distance) stays as in most pictures: upright, from
        # a few sizes away.
        usual = [
            guess.roll / unit[2] * prior[2],
            np.log(guess.distance / USUAL_DISTANCE) / unit[3] * 0.2 * prior[3],
        ]
        return np.concatenate([there - own_distance, step * prior[free], usual])

    def jacobian(step: np.ndarray) -> np.ndarray:
        nudge = 0.05 * np.eye(len(step))
        return np.column_stack([(residuals(step + way) - residuals(step - way)) / 0.1 for way in nudge])

    return moved(
        least_squares(residuals, np.zeros(free.sum()), jacobian, loss="huber", f_scale=2.0, max_nfev=8).x
    )
