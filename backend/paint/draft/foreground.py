"""Which pixels of the reference show the object."""

import cv2
import numpy as np
from scipy import ndimage

from ...api.errors import InvalidImage
from ..reference import Reference

WORKING_SIZE = 512
"""Longer side at which the segmentation runs, in pixels."""


def cut_out(reference: Reference) -> Reference:
    """The reference with an alpha that holds only the object: its own alpha, else a segmentation seeded from the border.

    Raises:
        InvalidImage: no object can be told from the background.
    """
    alpha = segment(reference.color) if reference.opaque else reference.alpha
    solid = largest_part(alpha > 0.5)
    if solid.sum() < 0.002 * solid.size:
        raise InvalidImage("No object was found in the reference image. Use an image with a plain or transparent background.")
    return reference.with_alpha(np.where(solid, alpha, 0).astype(np.float32))


def largest_part(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the connected parts of a mask that are at least a twentieth of its largest."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.isin(labels, 1 + np.flatnonzero(sizes * 20 >= sizes.max()))


def segment(color: np.ndarray) -> np.ndarray:
    """(H, W) float32 alpha of an image (H, W, 3) float32 sRGB whose border shows only background: GrabCut (Rother et al. 2004)."""
    height, width = color.shape[:2]
    scale = min(1.0, WORKING_SIZE / max(height, width))
    small = cv2.resize(color, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA)
    small = np.round(small * 255).astype(np.uint8)
    distance = _distance_from_border_colors(small)
    threshold = max(6.0, cv2.threshold(np.clip(distance, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)[0])
    trimap = np.where(distance > threshold, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    rim = max(1, round(0.01 * max(small.shape[:2])))
    trimap[:rim], trimap[-rim:], trimap[:, :rim], trimap[:, -rim:] = (cv2.GC_BGD,) * 4
    if not (trimap == cv2.GC_PR_FGD).any():
        return np.zeros((height, width), np.float32)
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), trimap, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    solid = ndimage.binary_fill_holes(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))).astype(np.float32)
    return np.clip(cv2.resize(solid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _distance_from_border_colors(image: np.ndarray) -> np.ndarray:
    """(H, W) float32 CIE Lab distance to the nearest of the border's main colours."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    border = np.concatenate([lab[:3].reshape(-1, 3), lab[-3:].reshape(-1, 3), lab[:, :3].reshape(-1, 3), lab[:, -3:].reshape(-1, 3)])
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, _, centres = cv2.kmeans(border, 4, None, criteria, 2, cv2.KMEANS_PP_CENTERS)
    return np.linalg.norm(lab[:, :, None] - centres, axis=3).min(axis=2)


def extend(reference: Reference, alpha_floor: float = 0.98) -> np.ndarray:
    """(H, W, 3) float32: the object's colours, continued beyond its outline so that no background shines through at the edge."""
    _, nearest = ndimage.distance_transform_edt(reference.alpha < alpha_floor, return_indices=True)
    return reference.color[nearest[0], nearest[1]]
