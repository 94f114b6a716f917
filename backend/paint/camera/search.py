"""Finds the camera from which the reference was taken: the one under which the mesh has the object's outline.

Coarse: outlines of the mesh's voxels from a sphere of directions are compared with the object's, after
fitting their boxes. Fine: points on the rendered outline are pulled onto the reference's outline by least
squares over all camera parameters, re-rendering between rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.optimize import least_squares

from ...mesh.surface import Surface, triangle_areas
from ...mesh.voxels import cell_keys, point_cells, voxelize
from ...parallel import map_parallel
from ...render.rasterize import rasterize
from .feature_edges import FeatureEdges
from .match import Match
from .outline import (
    angular_uncertainty,
    intersection_over_union,
    outline_mask,
    outline_points,
    sample_depths,
    shrink_mask,
    signed_distance_field,
)
from .ranking import RankingConfig, choose_view, distinct_views, view_prior_cost
from .sector import EVERYWHERE, Sector
from .view import View, angle_between


@dataclass(frozen=True)
class FitConfig:
    """The least-squares fit of a view to an outline.

    Tuples hold a number per parameter of a view: azimuth, elevation, roll, the logarithms of distance and
    zoom, x, y.
    """

    # Renderings and fits at each resolution.
    rounds: int = 6
    # Steps that move an outline about equally far: two degrees, a tenth of the distance, a few pixels.
    steps: tuple[float, ...] = (2.0, 2.0, 2.0, 0.1, 0.02, 0.01, 0.01)
    # Pixels of residual that a step costs by itself; distance, which hardly shows in an outline, costs most.
    step_prior: tuple[float, ...] = (0.02, 0.02, 0.05, 0.05, 0.0, 0.0, 0.0)
    # Longest sides of the mesh between it and the camera, if the outline leaves that open.
    usual_distance: float = 2.5
    # Strength of the prior for that distance, relative to the one against steps of it.
    distance_prior: float = 0.2
    # Residual in pixels from which on it counts linearly (Huber loss).
    huber_scale: float = 2.0
    # Evaluations of the residuals per fit.
    max_evaluations: int = 8


@dataclass(frozen=True)
class SearchConfig:
    """From the coarse search to the final view; sizes are pixels along the longer side of the reference."""

    # Width in pixels of the outlines that the coarse search compares; also the resolution of the voxels.
    coarse_size: int = 64
    # Best directions of the coarse search that are refined.
    starts: int = 6
    # Degrees between two of them, if they have the same distance.
    start_angle: float = 20.0
    # Size at which those are refined.
    start_size: int = 192
    # Different views with small errors that are refined further.
    max_rivals: int = 4
    # Size at which those are refined.
    rival_size: int = 384
    # By how much the overlap may still rise after the first fits.
    max_gain: float = 0.04
    # Size at which the chosen view is refined.
    final_size: int = 1024
    # Size at which the difference between the outlines is measured in degrees.
    uncertainty_size: int = 512
    # Cells along the longest side of the simplified mesh, whose outline errs by a fraction of a cell.
    simplified_cells: int = 128
    # Smallest fraction of its area that a simplified mesh has to keep; leaves smaller than a cell nearly
    # vanish.
    min_simplified_area: float = 0.5
    # How views are fitted to outlines.
    fit: FitConfig = FitConfig()
    # How views are compared.
    ranking: RankingConfig = field(default_factory=RankingConfig)


def find_view(
    surface: Surface,
    alpha: np.ndarray,
    direction: tuple[float, float] | None,
    progress: Callable[[float], None],
    color: np.ndarray | None = None,
    min_overlap: float = 0.0,
    config: SearchConfig = SearchConfig(),
    sector: Sector = EVERYWHERE,
) -> Match:
    """The view of the reference.

    Args:
        surface: the mesh.
        alpha: (H, W) float32, the object in the reference.
        direction: (azimuth, elevation) in degrees if the user gave them; they are then kept, and the image is
            taken as upright.
        progress: called with the fraction done.
        color: (H, W, 3) float32 sRGB, whose edges distinguish views with the same outline.
        min_overlap: a view whose outlines overlap less is of no use; one that will not come to it is returned
            as it is, without any confidence.
        config: resolutions and thresholds.
        sector: the directions to begin with.
    """
    keep, longest, ranking = direction is not None, max(alpha.shape), config.ranking
    # Coarse: a sphere of directions.
    starts = coarse_views(surface, alpha > 0.5, direction, config, sector)
    progress(0.3)
    # Refine the best directions on a small image and a simplified mesh.
    light = simplify_mesh(surface, config)
    matches = []
    for start in starts:
        matches.append(refine_view(light, alpha, start, config.start_size, keep, config.fit))
        progress(0.3 + 0.4 * len(matches) / len(starts))
    matches.sort(key=lambda match: match.error)
    if max(match.overlap for match in matches) < min_overlap - config.max_gain:
        return replace(matches[0], confidence=0.0)
    # Refine those that are nearly as good as the best on a larger image, and choose one of them.
    limit = ranking.rival_factor * matches[0].error + ranking.error_floor
    rivals = [match for match in distinct_views(matches, ranking) if match.error < limit]
    rivals = [
        refine_view(light, alpha, rival.view, min(config.rival_size, longest), keep, config.fit)
        for rival in rivals[: config.max_rivals]
    ]
    progress(0.8)
    best = choose_view(surface, rivals, None if color is None else FeatureEdges(color, alpha), ranking)
    # Refine the chosen one on the full mesh, and estimate its uncertainty.
    final = refine_view(surface, alpha, best.view, min(config.final_size, longest), keep, config.fit)
    degrees = 0.0
    if not keep:
        degrees = angular_uncertainty(surface, alpha, final.view, min(config.uncertainty_size, longest))
    return replace(final, confidence=best.confidence, degrees=degrees)


def simplify_mesh(surface: Surface, config: SearchConfig = SearchConfig()) -> Surface:
    """The surface with all vertices of a small cell joined (vertex clustering): enough for small outlines,
    and fast to render; the surface itself if it is light or hardly any area would remain."""
    cells = config.simplified_cells
    if len(surface.faces) < 4 * cells**2:
        return surface
    keys = cell_keys(point_cells(surface.vertices, cells), cells)
    _, first, cell = np.unique(keys, return_index=True, return_inverse=True)
    # One triangle for all with the same three cells; those with two corners in one cell vanish.
    faces, kept = np.unique(np.sort(cell[surface.faces], axis=1), axis=0, return_index=True)
    kept = kept[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2])]
    vertices, faces = surface.vertices[first], cell[surface.faces[kept]].astype(np.int32)
    light = replace(surface, vertices=vertices, faces=faces)
    before, after = (triangle_areas(mesh.vertices, mesh.faces).sum() for mesh in (surface, light))
    return light if after > config.min_simplified_area * before else surface


def coarse_views(
    surface: Surface,
    mask: np.ndarray,
    direction: tuple[float, float] | None,
    config: SearchConfig = SearchConfig(),
    sector: Sector = EVERYWHERE,
) -> list[View]:
    """The most promising views, best first, with the box of their outline fitted to that of the mask (H, W)
    bool."""
    size = config.coarse_size
    points = voxelize(surface, size).positions.astype(np.float64)
    target = _normalise_outline(*np.nonzero(mask)[::-1], size)
    if direction is None:
        elevations = (-45, -30, -15, 0, 15, 30, 45, 60, 80)
        directions = sector.select((a, e) for e in elevations for a in range(-180, 180, 15))
    else:
        directions = [direction]

    def score_place(place: tuple[float, float, float]) -> tuple:
        azimuth, elevation, distance = place
        pixels, _ = View(azimuth, elevation, 0, distance, 1, 0.5, 0.5).camera(1, 1).project(points)
        overlap = intersection_over_union(_normalise_outline(*pixels.T, size), target)
        return overlap - view_prior_cost(azimuth, elevation), *place, pixels

    # Score every direction from near and from afar.
    places = [(*direction, distance) for direction in directions for distance in (1.6, 3.5)]
    scored = map_parallel(score_place, places)
    scored.sort(key=lambda entry: -entry[0])
    # Take the best that differ in direction or distance.
    chosen = []
    for _, azimuth, elevation, distance, pixels in scored:
        if all(
            angle_between(azimuth, elevation, view) > config.start_angle or abs(distance - view.distance) > 1
            for view in chosen
        ):
            chosen.append(_fit_box(pixels, mask, azimuth, elevation, distance))
        if len(chosen) == config.starts:
            break
    return chosen


def _box(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """The centre (2,) of points' bounding box, and the root of its area."""
    low, high = np.array([x.min(), y.min()], np.float64), np.array([x.max(), y.max()], np.float64)
    return (low + high) / 2, max(np.sqrt(np.prod(np.maximum(high - low, 1e-9))), 1e-6)


def _normalise_outline(x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool: points splatted so that their box has its centre in the middle and a fixed area."""
    centre, extent = _box(x, y)
    pixel = np.column_stack([x, y]) - centre
    pixel = np.floor(pixel / extent * (size * 0.55) + size / 2).astype(np.int64)
    inside = ((pixel >= 0) & (pixel < size)).all(axis=1)
    grid = np.zeros((size, size), np.uint8)
    grid[pixel[inside, 1], pixel[inside, 0]] = 1
    return cv2.morphologyEx(grid, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0


def _fit_box(pixels: np.ndarray, mask: np.ndarray, azimuth: float, elevation: float, distance: float) -> View:
    """The view whose projected points (N, 2), on a unit image around (0.5, 0.5), fill the mask's box."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    centre, size = _box(columns + 0.5, rows + 0.5)
    own_centre, own_size = _box(*pixels.T)
    zoom = size / own_size
    shift = centre - zoom * (own_centre - 0.5)
    return View(azimuth, elevation, 0, distance, zoom / width, shift[0] / width, shift[1] / height)


def refine_view(
    surface: Surface,
    alpha: np.ndarray,
    start: View,
    size: int,
    keep_direction: bool,
    config: FitConfig = FitConfig(),
) -> Match:
    """The best of the views that come from pulling the rendered outline onto the reference's, on an image of
    ``size`` pixels along its longer side."""
    target = shrink_mask(alpha, size)
    shape = target.shape[::-1]
    target_distance = signed_distance_field(target)
    length, root = max(int(outline_mask(target).sum()), 1), np.sqrt(max(int(target.sum()), 1))
    view, best = start, Match(start, -1.0, np.inf)
    for turn in range(config.rounds + 1):
        buffer = rasterize(surface.vertices, surface.faces, view.camera(*shape))
        overlap = intersection_over_union(buffer.mask, target)
        if overlap > best.overlap:
            best = Match(view, overlap, float((buffer.mask ^ target).sum() / (length * root)))
        if turn == config.rounds or not buffer.mask.any():
            break
        points, own_distance = outline_points(buffer)
        view = _fit_outline(view, points, own_distance, target_distance, keep_direction, config)
    return best


def _fit_outline(
    view: View,
    points: np.ndarray,
    own_distance: np.ndarray,
    target_distance: np.ndarray,
    keep_direction: bool,
    config: FitConfig,
) -> View:
    """One round of least squares: the view under which outline points are as deep inside the reference's
    outline as they are inside their own.

    Args:
        view: where to start.
        points: (N, 3) float64 on the rendered outline.
        own_distance: (N,) float32, their signed distances to it in pixels.
        target_distance: (H, W) float32, the signed distance field of the reference.
        keep_direction: only the framing and the distance are free.
        config: of the fit.
    """
    height, width = target_distance.shape
    unit, prior = np.array(config.steps), np.array(config.step_prior) * np.sqrt(len(points))
    free = np.array([*[not keep_direction] * 3, True, True, True, True])
    start, depth = view.parameters(), np.empty(len(points))

    def displace(step: np.ndarray) -> View:
        parameters = start.copy()
        parameters[free] += step * unit[free]
        return View.from_parameters(parameters)

    def residuals(step: np.ndarray) -> np.ndarray:
        candidate = displace(step)
        sample_depths(points, candidate.camera(width, height).pack(), target_distance, depth)
        # What an outline does not show (a ball's roll and distance) stays as in most images: upright, and
        # from a few sizes away.
        usual = [
            candidate.roll / unit[2] * prior[2],
            np.log(candidate.distance / config.usual_distance) / unit[3] * config.distance_prior * prior[3],
        ]
        return np.concatenate([depth - own_distance, step * prior[free], usual])

    def jacobian(step: np.ndarray) -> np.ndarray:
        nudges = 0.05 * np.eye(len(step))
        return np.column_stack(
            [(residuals(step + nudge) - residuals(step - nudge)) / 0.1 for nudge in nudges]
        )

    fit = least_squares(
        residuals,
        np.zeros(free.sum()),
        jacobian,
        loss="huber",
        f_scale=config.huber_scale,
        max_nfev=config.max_evaluations,
    )
    return displace(fit.x)
