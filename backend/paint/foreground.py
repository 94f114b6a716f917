"""Which pixels of the reference show the object."""

import cv2
import numpy as np
from scipy import ndimage

from ..api.errors import InvalidImage
from .reference import Reference

WORKING_SIZE = 1024
"""Longer side at which the segmentation runs, in pixels."""

SMOOTH_BACKDROP = 4.0
"""CIE Lab distance within which the border of an image with a smooth backdrop stays of its best quadratic."""


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
    """(H, W) float32 alpha of an image (H, W, 3) float32 sRGB whose border shows only background.

    A smooth backdrop is subtracted; for any other border GrabCut (Rother et al. 2004) starts from what differs from the border's colours.
    """
    height, width = color.shape[:2]
    scale = min(1.0, WORKING_SIZE / max(height, width))
    small = cv2.resize(color, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2LAB)
    border = _border(lab.shape[:2])
    distance = np.linalg.norm(lab - _smooth_backdrop(lab, border), axis=2)
    noise = float(np.quantile(distance[border], 0.98))
    if noise < SMOOTH_BACKDROP:
        solid = cv2.morphologyEx((distance > max(3.0, 1.5 * noise)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    else:
        solid = _grab_cut(small, _distance_from_colors(lab, lab[border]), border)
    solid = ndimage.binary_fill_holes(solid).astype(np.float32)
    return np.clip(cv2.resize(solid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _border(shape: tuple[int, int]) -> np.ndarray:
    border = np.ones(shape, bool)
    rim = max(1, round(0.015 * max(shape)))
    border[rim:-rim, rim:-rim] = False
    return border


def _smooth_backdrop(lab: np.ndarray, border: np.ndarray) -> np.ndarray:
    """(H, W, 3): the quadratic in image coordinates that fits the border's colours best, outliers left out."""
    y, x = np.meshgrid(np.linspace(-1, 1, lab.shape[0]), np.linspace(-1, 1, lab.shape[1]), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
    rows, values = terms[border], lab[border].astype(np.float64)
    kept = np.ones(len(rows), bool)
    for _ in range(3):
        fit, *_ = np.linalg.lstsq(rows[kept], values[kept], rcond=None)
        error = np.linalg.norm(values - rows @ fit, axis=1)
        kept = error <= np.quantile(error, 0.9)
    return terms @ fit


def _grab_cut(image: np.ndarray, distance: np.ndarray, border: np.ndarray) -> np.ndarray:
    threshold = max(6.0, cv2.threshold(np.clip(distance, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)[0])
    trimap = np.where(distance > threshold, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[border] = cv2.GC_BGD
    if not (trimap == cv2.GC_PR_FGD).any():
        return np.zeros(trimap.shape, bool)
    cv2.setRNGSeed(0)
    pixels = np.round(image[..., ::-1] * 255).astype(np.uint8)
    cv2.grabCut(np.ascontiguousarray(pixels), trimap, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    return np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _distance_from_colors(lab: np.ndarray, border: np.ndarray) -> np.ndarray:
    """(H, W) float32 CIE Lab distance to the nearest of the border's main colours."""
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, _, centres = cv2.kmeans(np.ascontiguousarray(border), 4, None, criteria, 2, cv2.KMEANS_PP_CENTERS)
    return np.linalg.norm(lab[:, :, None] - centres, axis=3).min(axis=2)


def confirmed_by(mesh: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W) float32: a segmented alpha and the inside of the matching mesh's mask (H, W) bool: paint of the background's colour."""
    inset = 1 + max(alpha.shape) // 200
    return np.maximum(alpha, cv2.erode(mesh.astype(np.uint8), np.ones((2 * inset + 1,) * 2, np.uint8)).astype(np.float32))


def extend(reference: Reference, inset: int) -> np.ndarray:
    """(H, W, 3) float32: the object's colours from ``inset`` pixels within its outline, continued beyond: no background shines through."""
    solid = cv2.erode((reference.alpha > 0.98).astype(np.uint8), np.ones((2 * inset + 1,) * 2, np.uint8)) > 0
    if not solid.any():
        solid = reference.alpha > 0.5
    _, nearest = ndimage.distance_transform_edt(~solid, return_indices=True)
    return reference.color[nearest[0], nearest[1]]
