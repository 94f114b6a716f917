"""How likely the best of the views is the right one."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....mesh.surface import Surface
from ....render.rasterize import GBuffer, normals, rasterize
from ...foreground import border_mask
from ..outline import intersection_over_union
from ..view import View
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
    constant: float = -10.7
    edge: float = 9.4
    inner: float = 12.0
    lead: float = 36.0
    # ... which counts up to here.
    max_lead: float = 0.16
    # What stands for it where there is no other view, as with a given direction.
    lone_lead: float = 0.12
    # Intersection over union with the best view up to which another one takes something else for the object,
    # and by how much its score counts more: a ball is a bottle that is seen from its end, edge for edge.
    elsewhere: float = 0.1
    elsewhere_factor: float = 1.33
    # Elevations in degrees of nearly all images of objects, and what a degree beyond them costs: from above,
    # many things have the outline of some other.
    usual_elevations: tuple[float, float] = (-30.0, 65.0)
    elevation_cost: float = 0.15
    # Root of the silhouette's area, in pixels of the reference, below which it shows too little to be sure.
    few_pixels: float = 24.0
    # Distances from a mask, in roots of its area, between which its surroundings are looked at.
    beside: tuple[float, float] = (0.03, 0.1)
    # Part of them that was cut out as object from which on the object goes on there.
    max_beside: float = 0.65


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
    rivals = [
        fit.score * (config.elsewhere_factor if _overlap(first, buffer) < config.elsewhere else 1.0)
        for fit, buffer in zip(fits[1:], buffers, strict=True)
        if not _look_alike(first, buffer, surface, config)
    ]
    best = fits[0]
    lead = min(best.score - max(rivals), config.max_lead) if rivals else config.lone_lead
    logit = config.constant + config.edge * best.edge + config.inner * best.inner + config.lead * lead
    if len(fits) > 1:  # else the user gave the direction
        low, high = config.usual_elevations
        logit -= config.elevation_cost * max(low - best.view.elevation, best.view.elevation - high, 0.0)
    root = np.sqrt(first.mask.sum()) / scale
    return float(min(1.0, root / config.few_pixels) / (1 + np.exp(-logit)))


def _overlap(first: GBuffer, second: GBuffer) -> float:
    """Intersection over union of two views' silhouettes."""
    return intersection_over_union(first.mask, second.mask)


def _look_alike(first: GBuffer, second: GBuffer, surface: Surface, config: ConfidenceConfig) -> bool:
    """Whether two views of the mesh are the same image."""
    if _overlap(first, second) < config.same_silhouette:
        return False
    both = first.mask & second.mask
    one, other = (normals(buffer, surface)[both] @ buffer.camera.rotation for buffer in (first, second))
    return float((one * other).sum(axis=1).mean()) >= config.same_normals


def continues_to_border(
    mask: np.ndarray, foreground: np.ndarray, config: ConfidenceConfig = ConfidenceConfig()
) -> bool:
    """Whether the object goes on beyond its mask up to the border of the image, so that the mask is a part of
    it that happens to have the mesh's outline.

    Args:
        mask: (H, W) bool, the object by the mesh.
        foreground: (H, W) bool, the object as it is cut out without the mesh.
        config: what counts as going on.
    """
    border = border_mask(mask.shape)
    if mask[border].any() or not foreground[border].any():
        return False
    root = np.sqrt(mask.sum())
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    near, far = (share * root for share in config.beside)
    beside = (outside > near) & (outside < far)
    return bool(beside.any()) and float(foreground[beside].mean()) > config.max_beside


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
