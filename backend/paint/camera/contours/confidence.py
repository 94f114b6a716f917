"""How likely the best of the views is the right one."""

from dataclasses import dataclass

import numpy as np

from ....mesh.surface import Surface
from ....render.rasterize import GBuffer, normals, rasterize
from ..outline import intersection_over_union
from ..ranking import View
from .score import Fit


@dataclass(frozen=True)
class ConfidenceConfig:
    """A logistic regression on right and wrong views of rendered images, and of images of other objects."""

    # Pixels along the longer side at which rivals are compared.
    size: int = 128
    # Intersection over union of two views' silhouettes, and mean cosine between their normals in camera
    # space, from which on they look the same: a bottle does from all around.
    same_silhouette: float = 0.97
    same_normals: float = 0.97
    # Coefficients of the regression: constant, edges along the contour, inner edges, and lead of the score
    # over the best other view, ...
    constant: float = -7.4
    edge: float = 8.3
    inner: float = 4.9
    lead: float = 12.0
    # ... which counts up to here.
    max_lead: float = 0.25


def estimate_confidence(
    surface: Surface,
    fits: list[Fit],
    shape: tuple[int, int],
    config: ConfidenceConfig = ConfidenceConfig(),
) -> float:
    """0..1: how likely the first of the fits shows the object as the reference does.

    Args:
        surface: the mesh.
        fits: the likeliest views, best first.
        shape: height and width of the reference.
        config: of the regression.
    """
    scale = config.size / max(shape)
    width, height = (max(1, round(side * scale)) for side in (shape[1], shape[0]))
    buffers = (rasterize(surface.vertices, surface.faces, fit.view.camera(width, height)) for fit in fits)
    first = next(buffers)
    rivals = (
        fit.score
        for fit, buffer in zip(fits[1:], buffers, strict=True)
        if not _look_alike(first, buffer, surface, config)
    )
    best = fits[0]
    lead = min(best.score - max(rivals, default=-np.inf), config.max_lead)
    logit = config.constant + config.edge * best.edge + config.inner * best.inner + config.lead * lead
    return float(1 / (1 + np.exp(-logit)))


def _look_alike(first: GBuffer, second: GBuffer, surface: Surface, config: ConfidenceConfig) -> bool:
    """Whether two views of the mesh are the same image."""
    if intersection_over_union(first.mask, second.mask) < config.same_silhouette:
        return False
    both = first.mask & second.mask
    one, other = (normals(buffer, surface)[both] @ buffer.camera.rotation for buffer in (first, second))
    return float((one * other).sum(axis=1).mean()) >= config.same_normals


def cut_off_fraction(surface: Surface, view: View, shape: tuple[int, int]) -> float:
    """Fraction of the mesh's silhouette that lies outside of the reference, whose height and width are
    ``shape``; as far as half its size outside."""
    width, height = (max(2, 2 * round(128 * side / max(shape))) for side in (shape[1], shape[0]))
    # Twice as wide a view: the reference is its middle half.
    wide = View(
        view.azimuth,
        view.elevation,
        view.roll,
        view.distance,
        view.zoom / 2,
        0.25 + view.x / 2,
        0.25 + view.y / 2,
    )
    mask = rasterize(surface.vertices, surface.faces, wide.camera(width, height)).mask
    inside = mask[height // 4 : height - height // 4, width // 4 : width - width // 4].sum()
    return 1.0 - float(inside) / max(float(mask.sum()), 1.0)
