"""Whether the reference shows a second object of the mesh's shape: a copy of it, or its other side on the
same sheet."""

from dataclasses import dataclass

import numpy as np

from ....image import resize_longest
from ....mesh.surface import Surface
from ....parallel import map_parallel
from ....render.rasterize import rasterize
from ..outline import intersection_over_union
from ..search import simplify_mesh
from .contour_fit import fit_view
from .features import measure_features, observe_image
from .score import Fit
from .search import view_of
from .template_search import Placement, place_templates
from .templates import render_templates, sphere_of_directions


@dataclass(frozen=True)
class SecondObjectConfig:
    """When another place of the reference shows the mesh as well."""

    # Pixels along the reference's longer side at which both are compared.
    size: int = 320
    # Every how many directions one is tried.
    direction_step: int = 3
    # Factors of the first object's size between which the second one's lies.
    scales: tuple[float, float] = (0.6, 1.6)
    # Best places that are pulled onto the reference.
    starts: int = 6
    # Reaches of the rounds of that fit, see :func:`.contour_fit.fit_view`.
    reaches: tuple[int, ...] = (12, 8, 6, 4, 3)
    # Fraction of the first one's score from which on the second is as good.
    min_score: float = 0.85
    # Largest intersection over union of the two.
    max_overlap: float = 0.1


def shows_second_object(
    surface: Surface,
    color: np.ndarray,
    first: Fit,
    config: SecondObjectConfig = SecondObjectConfig(),
) -> bool:
    """Whether the mesh fits another place of the reference nearly as well.

    Args:
        surface: the mesh.
        color: (H, W, 3) float32 sRGB, the reference.
        first: the view that was found.
        config: thresholds.
    """
    light, seen = simplify_mesh(surface), observe_image(resize_longest(color, config.size))
    features = measure_features(color)
    height, width = features.foreground.shape[1:]
    own = rasterize(light.vertices, light.faces, first.view.camera(width, height)).mask
    if not own.any():
        return False
    # The box of the first object is taken.
    rows, columns = np.nonzero(own)
    blocked = np.zeros((height, width), bool)
    blocked[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    size = np.sqrt(np.ptp(rows) * np.ptp(columns)) / max(height, width)
    templates = render_templates(light, sphere_of_directions()[:: config.direction_step])
    sizes = tuple(factor * max(float(size), 0.1) for factor in config.scales)
    placements = place_templates(templates, features, lambda done: None, blocked, sizes)
    best = sorted(placements, key=lambda placement: -placement.score)[: config.starts]
    target = fit_view(light, seen, first.view, (), (0.0,))

    def shows(placement: Placement) -> bool:
        start = view_of(templates, placement, (height, width))
        other = fit_view(light, seen, start, config.reaches, (0.0,))
        mask = rasterize(light.vertices, light.faces, other.view.camera(width, height)).mask
        apart = intersection_over_union(mask, own) <= config.max_overlap
        return apart and other.score >= config.min_score * target.score

    return any(map_parallel(shows, best))
