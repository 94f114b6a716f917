"""A mask that follows what a user draws on the reference."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from ..api.picture import GROUND_STROKE, OBJECT_STROKE
from ..image import shrink_longest
from .foreground import border_mask, distance_from_main_colors, segment
from .reference import Reference


@dataclass(frozen=True)
class CorrectionConfig:
    """How a mask follows what a user draws on the image."""

    # Pixels along the longer side for GrabCut: the user waits for it after each stroke.
    working_size: int = 400
    # Iterations of GrabCut.
    iterations: int = 3
    # Main colours of a stroke (k-means clusters).
    stroke_colors: int = 4
    # CIE Lab distance to a stroke's main colours up to which GrabCut starts with the stroke's label for what
    # is connected to it.
    stroke_tolerance: float = 9.0
    # Fraction of the image's longer side up to which the mask may change around a stroke, so that one on an
    # object in the ground's colour does not turn all of the ground.
    reach: float = 0.2


def correct_reference(reference: Reference, strokes: np.ndarray) -> Reference:
    """The reference with its mask corrected by strokes, as :class:`backend.api.job.Job` has them.

    Without a mask, and without strokes all around the object, the object is segmented first.
    """
    height, width = reference.alpha.shape
    strokes = cv2.resize(strokes, (width, height), interpolation=cv2.INTER_NEAREST)
    border, alpha = border_mask(strokes.shape), reference.alpha
    if reference.opaque and (strokes[border] == GROUND_STROKE).all():
        around = _flood_fill(strokes == GROUND_STROKE, border)
        alpha = correct_mask(reference.color, None, np.where(around, GROUND_STROKE, 0).astype(np.uint8))
    elif reference.opaque:
        alpha, _ = segment(reference.color)
    return reference.with_alpha(correct_mask(reference.color, alpha, strokes))


def correct_mask(
    color: np.ndarray,
    alpha: np.ndarray | None,
    strokes: np.ndarray,
    config: CorrectionConfig = CorrectionConfig(),
) -> np.ndarray:
    """(H, W) float32: a mask that follows what a user has drawn, by GrabCut (Rother et al. 2004) with the
    strokes as certain labels.

    A stroke changes what it touches, nearby: what GrabCut would change elsewhere stays as it was.

    Args:
        color: (H, W, 3) float32 sRGB.
        alpha: (H, W) float32, the mask so far. None if the object is somewhere within what is not marked as
            ground, such as a box.
        strokes: (H, W) uint8, :data:`OBJECT_STROKE`, :data:`GROUND_STROKE` or 0.
    """
    before = strokes != GROUND_STROKE if alpha is None else alpha > 0.5
    small = shrink_longest(color, config.working_size)
    shape = small.shape[1::-1]
    # A thin stroke must not fall between the pixels.
    labels = {
        label: cv2.resize((strokes == label).astype(np.float32), shape, interpolation=cv2.INTER_AREA) > 0.2
        for label in (OBJECT_STROKE, GROUND_STROKE)
    }
    solid = cv2.resize(before.astype(np.float32), shape, interpolation=cv2.INTER_AREA) > 0.5
    cut = _grab_cut_strokes(small, solid, labels[OBJECT_STROKE], labels[GROUND_STROKE], config)
    if alpha is not None:
        added = _flood_fill(cut & ~solid & _near(labels[OBJECT_STROKE], config), labels[OBJECT_STROKE])
        removed = _flood_fill(solid & ~cut & _near(labels[GROUND_STROKE], config), labels[GROUND_STROKE])
        cut = (solid | added) & ~removed
    # Only what has changed is replaced, so that the mask keeps its resolution elsewhere.
    changed = cv2.dilate((cut != solid).astype(np.uint8), np.ones((3, 3), np.uint8))
    full = color.shape[1::-1]
    changed = cv2.resize(changed, full, interpolation=cv2.INTER_NEAREST) > 0
    corrected = np.clip(cv2.resize(cut.astype(np.float32), full, interpolation=cv2.INTER_CUBIC), 0, 1)
    corrected = np.where(changed, corrected, before.astype(np.float32) if alpha is None else alpha)
    corrected[strokes == OBJECT_STROKE] = 1
    corrected[strokes == GROUND_STROKE] = 0
    return corrected.astype(np.float32)


def _grab_cut_strokes(
    color: np.ndarray, solid: np.ndarray, inside: np.ndarray, outside: np.ndarray, config: CorrectionConfig
) -> np.ndarray:
    """(H, W) bool object of an image, given what is probably (``solid``) and what is certainly in- and
    outside of it, (H, W) bool each."""
    # What is like a stroke and connected to it starts with its label: a few pixels of a stroke would not
    # outweigh a region of their colour that starts with the other one.
    solid = solid & ~_like_stroke(color, outside, solid, config) | _like_stroke(color, inside, ~solid, config)
    trimap = np.where(solid, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[outside], trimap[inside] = cv2.GC_BGD, cv2.GC_FGD
    is_object = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if is_object.all() or not is_object.any():
        return is_object
    cv2.setRNGSeed(0)
    pixels = np.ascontiguousarray(np.round(color[..., ::-1] * 255).astype(np.uint8))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(pixels, trimap, None, *models, config.iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _like_stroke(
    color: np.ndarray, stroke: np.ndarray, region: np.ndarray, config: CorrectionConfig
) -> np.ndarray:
    """(H, W) bool: the part of a region that is connected to a stroke through pixels of its colours. All
    (H, W) bool; the colours are those of the stroke within the region."""
    corrected = stroke & region
    if corrected.sum() < config.stroke_colors:
        return corrected
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    distance = distance_from_main_colors(lab, lab[corrected], config.stroke_colors)
    return _flood_fill(region & _near(corrected, config) & (distance < config.stroke_tolerance), corrected)


def _near(stroke: np.ndarray, config: CorrectionConfig) -> np.ndarray:
    """(H, W) bool: what is within reach of a stroke (H, W) bool."""
    if not stroke.any():
        return stroke
    distance = cv2.distanceTransform((~stroke).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= config.reach * max(stroke.shape)


def _flood_fill(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """(H, W) bool: the connected components of a mask that seeds (H, W) bool touch."""
    labels, _ = ndimage.label(mask)
    touched = np.unique(labels[cv2.dilate(seeds.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0])
    return np.isin(labels, touched[touched > 0])
