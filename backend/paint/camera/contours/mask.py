"""The object's mask, given the view: hypotheses near the mesh's silhouette, of which the one with the best
outline is taken."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..outline import intersection_over_union
from .contour import follow_contour
from .features import Observation, observe_image
from .histograms import color_histograms, histogram_distance
from .score import SCORE


@dataclass(frozen=True)
class MaskConfig:
    """How far a mask may differ from the mesh's silhouette."""

    # Half the width of the band around the silhouette that is segmented anew, as a fraction of the root of
    # its area.
    band: float = 0.015
    # Width of the surroundings from which the ground's colours are learnt, in the same unit.
    surroundings: float = 0.1
    # Iterations of GrabCut.
    iterations: int = 2
    # Smallest intersection over union of a hypothesis with the silhouette.
    min_overlap: float = 0.85
    # By how much the outline of the bare silhouette has to score better than that of the band to be taken:
    # the mesh is a little beside the object in most images.
    silhouette_lead: float = 0.03


def find_mask(
    silhouette: np.ndarray,
    color: np.ndarray,
    hypotheses: Sequence[np.ndarray],
    config: MaskConfig = MaskConfig(),
) -> np.ndarray:
    """(H, W) bool: the object.

    Args:
        silhouette: (H, W) bool, the mesh as the camera sees it.
        color: (H, W, 3) float32 sRGB, the reference.
        hypotheses: masks (H, W) bool from elsewhere; those that differ much from the silhouette do not count.
        config: how far a mask may differ.
    """
    seen = observe_image(color)
    near = [mask for mask in hypotheses if intersection_over_union(mask, silhouette) >= config.min_overlap]
    masks = [segment_band(silhouette, color, config), *near]
    best = max(masks, key=lambda mask: score_outline(mask, seen))
    lead = score_outline(silhouette, seen) - score_outline(best, seen)
    return silhouette if lead > config.silhouette_lead else best


def score_outline(mask: np.ndarray, seen: Observation) -> float:
    """How well a mask (H, W) bool parts object and ground: edges along its outline, colours on both sides."""
    if not mask.any() or mask.all():
        return 0.0
    edge = float(follow_contour(mask).read(seen.near_edges).mean())
    region = histogram_distance(*color_histograms(mask, seen.bins))
    return SCORE.edge_weight * edge + SCORE.region_weight * region


def segment_band(silhouette: np.ndarray, color: np.ndarray, config: MaskConfig) -> np.ndarray:
    """(H, W) bool: the silhouette, whose band along the contour is segmented by the colours on both sides
    (GrabCut, Rother et al. 2004)."""
    root = np.sqrt(silhouette.sum())
    band, surroundings = max(2, round(config.band * root)), max(8, round(config.surroundings * root))
    solid = silhouette.astype(np.uint8)
    inside, outside = cv2.erode(solid, _disc(band)), cv2.dilate(solid, _disc(band))
    # Only what surrounds the object takes part, for other things may have its colours.
    rows, columns = np.nonzero(cv2.dilate(solid, _disc(surroundings)))
    if len(rows) == 0 or not inside.any():
        return silhouette
    window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    trimap = np.where(solid, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[inside > 0], trimap[outside == 0] = cv2.GC_FGD, cv2.GC_BGD
    trimap = np.ascontiguousarray(trimap[window])
    if not (trimap == cv2.GC_BGD).any():
        return silhouette
    pixels = np.ascontiguousarray(np.round(color[window][..., ::-1] * 255).astype(np.uint8))
    # The seed makes GrabCut's k-means repeatable.
    cv2.setRNGSeed(0)
    cv2.grabCut(
        pixels,
        trimap,
        None,
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        config.iterations,
        cv2.GC_INIT_WITH_MASK,
    )
    mask = np.zeros(silhouette.shape, bool)
    mask[window] = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return mask


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
