"""The views under which the mesh's contours lie on those of the reference, likeliest first.

Every direction is tried at every scale and place on a small image; the best are pulled onto the reference at
rising resolutions, and the last few are tried from all sides around them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

import cv2
import numpy as np

from ....image import resize_longest
from ....mesh.surface import Surface
from ....parallel import map_parallel
from ....progress import ProgressCallback
from ....render.camera import look_at_origin
from ....render.rasterize import rasterize
from ..outline import intersection_over_union, outline_mask
from ..ranking import view_prior_cost
from ..search import simplify_mesh
from ..sector import EVERYWHERE, Sector
from ..view import View
from .contour_fit import fit_view
from .features import Observation, measure_features, observe_image
from .score import Fit
from .template_search import Placement, place_templates
from .templates import TEMPLATE_DISTANCE, Templates, render_templates, sphere_of_directions


@dataclass(frozen=True)
class FitStage:
    """A round of fits at one resolution.

    Attributes:
        size: pixels along the longer side of the reference.
        reaches, color_weights: see :func:`.contour_fit.fit_view`.
    """

    size: int
    reaches: tuple[int, ...]
    color_weights: tuple[float, ...]


@dataclass(frozen=True)
class ContourSearchConfig:
    """From the templates to the final view."""

    # Best placements of templates that are pulled onto the reference.
    starts: int = 32
    # Degrees between the directions of two starts.
    start_angle: float = 10.5
    # Intersection over union of two templates' silhouettes from which on they are the same outline.
    same_outline: float = 0.93
    # Starts that may have the same outline: a bottle has one outline from all around.
    max_same_outlines: int = 2
    # The starts are fitted on a small image, and
    first: FitStage = FitStage(160, (8, 6, 4, 3), (0.0, 0.05))
    # the best of them on a larger one;
    max_rivals: int = 10
    second: FitStage = FitStage(320, (6, 4, 3), (0.0, 0.15))
    # the neighbours of the very best are tried,
    max_finalists: int = 5
    neighbour: FitStage = FitStage(320, (4, 3), (0.0,))
    # which are these many degrees from it, in one round after another,
    neighbour_angles: tuple[float, ...] = (10.0, 4.0)
    # and the winner is fitted to the whole mesh.
    final: FitStage = FitStage(512, (4, 3, 3), (0.0, 0.05))
    # Weight of the intersection over union with the foreground, beside the score.
    foreground_weight: float = 0.5
    # Weight of the logarithm of the contour's length: a box has all four edges of a seat that is seen from
    # above, and nothing has all edges of a chair by chance.
    length_weight: float = 0.1
    # Degrees between two views up to which they are one.
    same_direction: float = 8.0


def find_views(
    surface: Surface,
    color: np.ndarray,
    direction: tuple[float, float] | None,
    progress: ProgressCallback,
    foreground: np.ndarray,
    config: ContourSearchConfig = ContourSearchConfig(),
    sector: Sector = EVERYWHERE,
) -> list[Fit]:
    """The likeliest views of an image, best first; the first one is fitted to the whole mesh.

    Args:
        surface: the mesh, its longest side 1 and centred at the origin.
        color: (H, W, 3) float32 sRGB 0..1.
        direction: (azimuth, elevation) in degrees if the user gave them; they are then kept.
        progress: called with the fraction done.
        foreground: (H, W) bool, the object as it is cut out without the mesh; a hint only.
        config: sizes and numbers of candidates.
        sector: the directions to begin with.
    """
    light, keep = simplify_mesh(surface), direction is not None
    observations = {
        stage.size: observe_image(resize_longest(color, stage.size))
        for stage in (config.first, config.second, config.final)
    }
    # Every direction at every scale and place.
    directions = [direction] if keep else sector.select(sphere_of_directions())
    templates = render_templates(light, directions)
    features = measure_features(color)
    placements = place_templates(templates, features, lambda done: progress(0.4 * done))
    starts = choose_starts(templates, placements, config)
    views = [view_of(templates, start, features.foreground.shape[1:]) for start in starts]
    # Pull the best onto the reference, coarse to fine.
    fits = fit_views(light, views, observations, config.first, keep)
    progress(0.6)
    rivals = [fit.view for fit in distinct_fits(fits, config)[: config.max_rivals]]
    fits = distinct_fits(fit_views(light, rivals, observations, config.second, keep), config)
    progress(0.7)
    # Try the neighbours of the very best.
    finalists = fits[: config.max_finalists]
    for angle in config.neighbour_angles:
        tries = [list(neighbours(finalist.view, angle, keep)) for finalist in finalists]
        tried = iter(fit_views(light, list(chain(*tries)), observations, config.neighbour, keep))
        finalists = [
            max([finalist, *islice(tried, len(own))], key=score_of)
            for finalist, own in zip(finalists, tries, strict=True)
        ]
    fits = distinct_fits([*finalists, *fits[config.max_finalists :]], config)
    progress(0.9)
    fits = rank_fits(light, fits, foreground, config)
    [best] = fit_views(surface, [fits[0].view], observations, config.final, keep)
    return [replace(fits[0], view=best.view), *fits[1:]]


def rank_fits(
    surface: Surface,
    fits: list[Fit],
    foreground: np.ndarray,
    config: ContourSearchConfig = ContourSearchConfig(),
) -> list[Fit]:
    """The fits, likeliest first. Between views that explain the edges equally well, the one with more edges
    is likelier; a handle that the foreground (H, W) bool shows decides, and between the two sides of a box
    that most are seen from the front."""
    hint = resize_longest(foreground.astype(np.float32), config.first.size) > 0.5

    def cost(fit: Fit) -> float:
        camera = fit.view.camera(hint.shape[1], hint.shape[0])
        silhouette = rasterize(surface.vertices, surface.faces, camera).mask
        overlap = intersection_over_union(silhouette, hint)
        prior = view_prior_cost(fit.view.azimuth, fit.view.elevation)
        length = np.log(max(outline_mask(silhouette).sum(), 1))
        return prior - fit.score - config.foreground_weight * overlap - config.length_weight * length

    return sorted(fits, key=cost)


def score_of(fit: Fit) -> float:
    """The score, as a sort key."""
    return fit.score


def fit_views(
    surface: Surface,
    views: list[View],
    observations: dict[int, Observation],
    stage: FitStage,
    keep_direction: bool,
) -> list[Fit]:
    """Each view, pulled onto the reference."""
    seen = observations[stage.size]
    return map_parallel(
        lambda view: fit_view(surface, seen, view, stage.reaches, stage.color_weights, keep_direction), views
    )


def neighbours(view: View, angle: float, keep_direction: bool) -> Iterator[View]:
    """Views around a view, ``angle`` degrees from it, and nearer and farther ones: an outline changes little
    if both elevation and distance do."""
    turns = (
        [(0, 0, 0.7), (0, 0, 1.4)]
        if keep_direction
        else [
            (angle, 0, 1),
            (-angle, 0, 1),
            (0, angle, 1),
            (0, -angle, 1),
            (0, 0, 0.7),
            (0, 0, 1.4),
            (0, angle / 2, 1.4),
            (0, -angle / 2, 0.7),
        ]
    )
    shrink = max(np.cos(np.radians(view.elevation)), 0.3)
    for azimuth, elevation, factor in turns:
        yield replace(
            view,
            azimuth=view.azimuth + azimuth / shrink,
            elevation=min(max(view.elevation + elevation, -89.0), 89.0),
            distance=min(max(view.distance * factor, 0.9), 30.0),
        )


def choose_starts(
    templates: Templates, placements: list[Placement], config: ContourSearchConfig
) -> list[Placement]:
    """The best placements whose directions are apart and whose outlines differ."""
    outlines = normalize_outlines(templates)
    limit = np.cos(np.radians(config.start_angle))
    chosen: list[Placement] = []
    for placement in sorted(placements, key=lambda placement: -placement.score):
        direction = direction_of(templates, placement)
        if any(direction @ direction_of(templates, other) > limit for other in chosen):
            continue
        own = outlines[placement.template]
        others = outlines[[other.template for other in chosen]].reshape(-1, *own.shape)
        shared = (own & others).sum(axis=(1, 2)) / np.maximum((own | others).sum(axis=(1, 2)), 1)
        if (shared > config.same_outline).sum() >= config.max_same_outlines:
            continue
        chosen.append(placement)
        if len(chosen) == config.starts:
            break
    return chosen


def normalize_outlines(templates: Templates, size: int = 32) -> np.ndarray:
    """(T, size, size) bool: the silhouettes, scaled so that their boxes have one area and middle."""
    result = []
    for mask, (left, top, right, bottom) in zip(templates.mask, templates.box, strict=True):
        scale = 0.75 * size / np.sqrt((right - left) * (bottom - top))
        place = np.array(
            [
                [scale, 0, size / 2 - scale * (left + right) / 2],
                [0, scale, size / 2 - scale * (top + bottom) / 2],
            ]
        )
        result.append(cv2.warpAffine(mask.astype(np.float32), place, (size, size)) > 0.5)
    return np.stack(result)


def direction_of(templates: Templates, placement: Placement) -> np.ndarray:
    """(3,) unit vector from the mesh's centre to the camera."""
    number = placement.template
    return look_at_origin(templates.azimuth[number], templates.elevation[number])[:, 2]


def view_of(templates: Templates, placement: Placement, shape: tuple[int, int]) -> View:
    """The camera of a placement on a search image of that height and width."""
    number, (height, width) = placement.template, shape
    x, y = placement.size * templates.centre[number] + (placement.x, placement.y)
    return View(
        azimuth=float(templates.azimuth[number]),
        elevation=float(templates.elevation[number]),
        roll=0.0,
        distance=TEMPLATE_DISTANCE,
        zoom=float(placement.size * templates.zoom[number] / width),
        x=float(x / width),
        y=float(y / height),
    )


def distinct_fits(fits: list[Fit], config: ContourSearchConfig) -> list[Fit]:
    """The best of those that look from about the same direction, best first."""
    limit = np.cos(np.radians(config.same_direction))
    kept: list[Fit] = []
    for fit in sorted(fits, key=score_of, reverse=True):
        direction = look_at_origin(fit.view.azimuth, fit.view.elevation)[:, 2]
        others = (look_at_origin(other.view.azimuth, other.view.elevation)[:, 2] for other in kept)
        if all(direction @ other < limit for other in others):
            kept.append(fit)
    return kept
