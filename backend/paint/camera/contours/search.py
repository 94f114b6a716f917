"""The object and the camera of a reference, found together."""

from dataclasses import replace

import numpy as np

from ....image import resize_longest
from ....mesh.surface import Surface
from ....parallel import map_parallel
from ....render.camera import look_at_origin
from ..ranking import View
from ..search import simplify_mesh
from .contour_fit import Fit, fit_view, observe_image
from .features import measure_features
from .template_search import Placement, place_templates
from .templates import DISTANCE, Templates, render_templates, sphere_of_directions

STARTS = 16
"""Best directions that are pulled onto the reference."""

APART = 10.5
"""Degrees between directions below which they are one."""

FINALISTS = 5
"""Views that are looked at more closely."""

SIZES = (160, 320, 512)
"""Pixels along the reference's longer side in the rounds of the fit."""

REACHES = ((8, 6, 5, 4, 3), (6, 4, 3, 3), (4, 3, 3))
"""Pixels along the contour's normals in which each round looks."""


def find_candidates(surface: Surface, color: np.ndarray) -> list[Fit]:
    """The likeliest views of an image (H, W, 3) float32 sRGB 0..1, best first."""
    light = simplify_mesh(surface)
    templates, features = render_templates(light, sphere_of_directions()), measure_features(color)
    starts = choose_starts(templates, place_templates(templates, features))
    views = [view_of(templates, start, features.foreground.shape[1:]) for start in starts]
    small, middle, large = (observe_image(resize_longest(color, size)) for size in SIZES)
    fits = map_parallel(lambda view: fit_view(light, small, view, REACHES[0]), views)
    order = sorted(range(len(fits)), key=lambda number: -fits[number].score)
    fits = keep_apart([fits[number] for number in order])[:FINALISTS]
    fits = map_parallel(lambda fit: fit_view(light, middle, fit.view, REACHES[1]), fits)
    fits.sort(key=lambda fit: -fit.score)
    best = fit_view(surface, large, fits[0].view, REACHES[2])
    return [replace(fits[0], view=best.view), *fits[1:]]


def choose_starts(templates: Templates, placements: list[Placement]) -> list[Placement]:
    """The best placements whose directions are apart."""
    chosen: list[Placement] = []
    for placement in sorted(placements, key=lambda placement: -placement.score):
        direction = direction_of(templates, placement)
        near = (direction @ direction_of(templates, other) for other in chosen)
        if all(cosine < np.cos(np.radians(APART)) for cosine in near):
            chosen.append(placement)
        if len(chosen) == STARTS:
            break
    return chosen


def direction_of(templates: Templates, placement: Placement) -> np.ndarray:
    """(3,) unit vector from the mesh's centre to the camera."""
    number = placement.template
    return look_at_origin(templates.azimuth[number], templates.elevation[number])[:, 2]


def view_of(templates: Templates, placement: Placement, shape: tuple[int, int]) -> View:
    """The camera of a placement on a search image of that height and width."""
    number, (height, width) = placement.template, shape
    x, y = placement.size * templates.centre[number] + (placement.x, placement.y)
    return View(
        float(templates.azimuth[number]),
        float(templates.elevation[number]),
        0.0,
        DISTANCE,
        float(placement.size * templates.zoom[number] / width),
        float(x / width),
        float(y / height),
    )


def keep_apart(fits: list[Fit]) -> list[Fit]:
    """The best of those that look from about the same direction, best first."""
    kept: list[Fit] = []
    for fit in fits:
        direction = look_at_origin(fit.view.azimuth, fit.view.elevation)[:, 2]
        others = (
            direction @ look_at_origin(other.view.azimuth, other.view.elevation)[:, 2] for other in kept
        )
        if all(cosine < np.cos(np.radians(8.0)) for cosine in others):
            kept.append(fit)
    return kept
