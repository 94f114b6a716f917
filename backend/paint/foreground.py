"""Which pixels of the reference show the object."""

import cv2
import numpy as np
from scipy import ndimage

from ..api.errors import InvalidImage
from .backdrop import fit_backdrop, slope, soft_shadow
from .reference import Reference

WORKING_SIZE = 1024
"""Longer side at which the segmentation runs, in pixels."""

GRAB_CUT_SIZE = 512
"""The same for GrabCut, whose time grows fast with it."""

EDGE = 2.5
"""CIE Lab distance from pixel to pixel, at WORKING_SIZE or less, from which on there is an edge."""

HOLE = 0.08
"""Part of the object's area below which a hole in it is filled."""


def cut_out(reference: Reference) -> Reference:
    """The reference with an alpha that holds only the object: its own alpha, else a segmentation seeded from
    the border.

    Raises:
        InvalidImage: no object can be told from the background, or the image's own alpha leaves nothing.
    """
    alpha = segment(reference.color) if reference.opaque else reference.alpha
    solid = largest_part(alpha > 0.5)
    if solid.sum() < 0.002 * solid.size:
        raise InvalidImage(
            "No object was found in the reference image. Use an image with a plain or transparent background."
            if reference.opaque
            else "Hardly anything in the reference image is more than half opaque. Use an image whose "
            "object is opaque, and large enough to see."
        )
    return reference.with_alpha(np.where(solid, alpha, 0).astype(np.float32))


def largest_part(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the connected parts of a mask that are at least a twentieth of its largest."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.isin(labels, 1 + np.flatnonzero(sizes * 20 >= sizes.max()))


def segment(color: np.ndarray) -> np.ndarray:
    """(H, W) float32 alpha of an image (H, W, 3) float32 sRGB whose border shows mostly background.

    Several hypotheses are made and the one of the highest :func:`likelihood` is taken: what differs from a
    smooth backdrop, with and without its soft shadows; where the border is not smooth, GrabCut (Rother et al.
    2004) started from what differs from the colours of the border, or of the border without its lower side,
    at which pictures often cut an object off.
    """
    height, width = color.shape[:2]
    small = _shrunk(color, WORKING_SIZE)
    masks = _before_backdrop(small)
    if not masks:
        smaller = _shrunk(small, GRAB_CUT_SIZE)
        cut = [_grab_cut(smaller, border(smaller.shape[:2], lower)) for lower in (True, False)]
        masks = [
            cv2.resize(mask.astype(np.float32), small.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
            for mask in cut
        ]
    solid = max(masks, key=lambda mask: likelihood(mask, small)).astype(np.float32)
    return np.clip(cv2.resize(solid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def likelihood(mask: np.ndarray, color: np.ndarray) -> float:
    """0..1: how much a mask (H, W) bool looks like the object of an image (H, W, 3) float32 sRGB.

    The product of three shares: of its outline that lies on edges of the image, of its colours that the rest
    of the image does not have, and of the image's border that it leaves free.
    """
    if not mask.any() or mask.all():
        return 0.0
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    edge = cv2.dilate((slope(color) > EDGE).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    outline = mask & ~ndimage.binary_erosion(mask, border_value=1)
    bins = np.clip((lab - (0, -128, -128)) / 4, 0, (25, 63, 63)).astype(np.int64) @ (64 * 64, 64, 1)
    inside, outside = (np.bincount(bins[part], minlength=26 * 64 * 64) / part.sum() for part in (mask, ~mask))
    shared = np.minimum(inside, outside).sum()
    return float(edge[outline].mean() * (1 - shared) * (1 - mask[border(mask.shape)].mean()))


def _shrunk(image: np.ndarray, size: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(1.0, size / max(height, width))
    return cv2.resize(
        image, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA
    )


def border(shape: tuple[int, int], lower: bool = True) -> np.ndarray:
    """(H, W) bool: the outermost pixels of an image, with or without its lower side."""
    outermost = np.ones(shape, bool)
    rim = max(1, round(0.015 * max(shape)))
    outermost[rim : -rim if lower else None, rim:-rim] = False
    return outermost


def _before_backdrop(color: np.ndarray) -> list[np.ndarray]:
    """What differs from a smooth backdrop, (H, W) bool each: with its soft shadows, and without; none where
    the border is not smooth."""
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    found = fit_backdrop(lab, border(lab.shape[:2]))
    if found is None:
        return []
    backdrop, noise = found
    solid = _opened(np.linalg.norm(lab - backdrop, axis=2) > max(3.0, 1.5 * noise))
    shadow = soft_shadow(color, cv2.cvtColor(backdrop, cv2.COLOR_LAB2RGB), solid)
    masks = [solid, _opened(solid & ~shadow)] if shadow.any() else [solid]
    return [_filled(mask) for mask in masks]


def _filled(mask: np.ndarray) -> np.ndarray:
    """A mask without its small holes, which mostly are paint like the background; what is seen between the
    legs of a chair stays open."""
    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if count == 0:
        return mask
    small = np.bincount(holes.ravel()) < HOLE * mask.sum()
    small[0] = False
    return mask | small[holes]


def _opened(mask: np.ndarray) -> np.ndarray:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _grab_cut(image: np.ndarray, border: np.ndarray) -> np.ndarray:
    """(H, W) bool; the border is background."""
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
    distance = _distance_from_colors(lab, lab[border])
    threshold = max(
        6.0, cv2.threshold(np.clip(distance, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)[0]
    )
    trimap = np.where(distance > threshold, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[border] = cv2.GC_BGD
    if not (trimap == cv2.GC_PR_FGD).any():
        return np.zeros(trimap.shape, bool)
    cv2.setRNGSeed(0)
    pixels = np.round(image[..., ::-1] * 255).astype(np.uint8)
    cv2.grabCut(
        np.ascontiguousarray(pixels),
        trimap,
        None,
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        5,
        cv2.GC_INIT_WITH_MASK,
    )
    return _filled(_opened(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))))


def _distance_from_colors(lab: np.ndarray, border: np.ndarray) -> np.ndarray:
    """(H, W) float32 CIE Lab distance to the nearest of the border's main colours."""
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, _, centres = cv2.kmeans(np.ascontiguousarray(border), 4, None, criteria, 2, cv2.KMEANS_PP_CENTERS)
    return np.linalg.norm(lab[:, :, None] - centres, axis=3).min(axis=2)


def confirmed_by(mesh: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W) float32: a segmented alpha and the inside of the matching mesh's mask (H, W) bool: paint of the
    background's colour."""
    inset = 1 + max(alpha.shape) // 200
    return np.maximum(
        alpha, cv2.erode(mesh.astype(np.uint8), np.ones((2 * inset + 1,) * 2, np.uint8)).astype(np.float32)
    )


def extend(reference: Reference, inset: int) -> np.ndarray:
    """(H, W, 3) float32: the object's colours from ``inset`` pixels within its outline, continued beyond: no
    background shines through."""
    solid = cv2.erode((reference.alpha > 0.98).astype(np.uint8), np.ones((2 * inset + 1,) * 2, np.uint8)) > 0
    if not solid.any():
        solid = reference.alpha > 0.5
    _, nearest = ndimage.distance_transform_edt(~solid, return_indices=True)
    return reference.color[nearest[0], nearest[1]]
