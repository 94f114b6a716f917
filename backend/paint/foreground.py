"""The object in the reference: segmented from the background, and its colours continued beyond the
outline."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import ndimage

from ..api.errors import InvalidImage
from ..api.job import GROUND_STROKE, OBJECT_STROKE
from ..image import shrink_longest
from .backdrop import find_soft_shadow, fit_backdrop, gradient_magnitude
from .reference import Reference


@dataclass(frozen=True)
class SegmentationConfig:
    """How the object is separated from the background of an image without alpha."""

    # Pixels along the longer side at which the segmentation runs.
    working_size: int = 1024
    # Pixels along the longer side for GrabCut, whose time grows fast with the resolution.
    grab_cut_size: int = 512
    # Iterations of GrabCut.
    grab_cut_iterations: int = 5
    # CIE Lab distance from pixel to pixel, at ``working_size`` or less, from which on there is an edge.
    edge_gradient: float = 2.5
    # Fraction of the object's area below which a hole in it is filled.
    max_hole_fraction: float = 0.08
    # Smallest CIE Lab distance from a smooth backdrop that is not the backdrop.
    min_backdrop_distance: float = 3.0
    # Smallest CIE Lab distance from the border's main colours at which GrabCut starts with foreground.
    min_seed_distance: float = 6.0
    # Main colours of the border (k-means clusters).
    border_colors: int = 4


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


def cut_out(reference: Reference) -> Reference:
    """The reference with an alpha that holds only the object: its own alpha, else a segmentation seeded from
    the border.

    Raises:
        InvalidImage: no object can be told from the background, or the image's own alpha leaves nothing.
    """
    alpha = segment(reference.color) if reference.opaque else reference.alpha
    solid = keep_large_components(alpha > 0.5)
    if solid.sum() < 0.002 * solid.size:
        raise InvalidImage(
            "No object was found in the reference image. Use an image with a plain or transparent background."
            if reference.opaque
            else "Hardly anything in the reference image is more than half opaque. Use an image whose "
            "object is opaque, and large enough to see."
        )
    segmented = reference.segmented or reference.opaque
    return replace(reference, alpha=np.where(solid, alpha, 0).astype(np.float32), segmented=segmented)


def correct_reference(reference: Reference, strokes: np.ndarray) -> Reference:
    """The reference with its mask corrected by strokes, as :class:`backend.api.job.Job` has them.

    Without a mask, and without strokes all around the object, the object is segmented first.
    """
    height, width = reference.alpha.shape
    strokes = cv2.resize(strokes, (width, height), interpolation=cv2.INTER_NEAREST)
    border, alpha = border_mask(strokes.shape), reference.alpha
    if reference.opaque and (strokes[border] == GROUND_STROKE).all():
        around = _touched(strokes == GROUND_STROKE, border)
        alpha = correct_mask(reference.color, None, np.where(around, GROUND_STROKE, 0).astype(np.uint8))
    elif reference.opaque:
        alpha = segment(reference.color)
    return reference.with_alpha(correct_mask(reference.color, alpha, strokes))


def correct_mask(
    color: np.ndarray,
    alpha: np.ndarray | None,
    strokes: np.ndarray,
    config: CorrectionConfig = CorrectionConfig(),
) -> np.ndarray:
    """(H, W) float32: a mask that follows what a user has drawn, by GrabCut (Rother et al. 2004) with the
    strokes as certain labels.

    A stroke changes what it touches: a region that GrabCut would change elsewhere stays as it was.

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
        added = _touched(cut & ~solid, labels[OBJECT_STROKE])
        removed = _touched(solid & ~cut, labels[GROUND_STROKE])
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
    distance = _distance_from_main_colors(lab, lab[corrected], config.stroke_colors)
    return _touched(region & (distance < config.stroke_tolerance), corrected)


def _touched(mask: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """(H, W) bool: the connected components of a mask that strokes (H, W) bool touch."""
    labels, _ = ndimage.label(mask)
    touched = np.unique(labels[cv2.dilate(strokes.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0])
    return np.isin(labels, touched[touched > 0])


def keep_large_components(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the connected components of a mask that have at least a twentieth of the largest one's
    area."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.isin(labels, 1 + np.flatnonzero(sizes * 20 >= sizes.max()))


def segment(color: np.ndarray, config: SegmentationConfig = SegmentationConfig()) -> np.ndarray:
    """(H, W) float32 alpha of an image (H, W, 3) float32 sRGB whose border shows mostly background.

    Several hypotheses are made, and the one with the highest :func:`mask_likelihood` is taken: what differs
    from a smooth backdrop, with and without its soft shadows; if the border is not smooth, GrabCut (Rother et
    al. 2004) started from what differs from the colours of the border, or of the border without its lower
    side, at which images often cut an object off.
    """
    height, width = color.shape[:2]
    small = shrink_longest(color, config.working_size)
    masks = _backdrop_hypotheses(small, config)
    if not masks:
        smaller = shrink_longest(small, config.grab_cut_size)
        cut = [_grab_cut(smaller, border_mask(smaller.shape[:2], lower), config) for lower in (True, False)]
        masks = [
            cv2.resize(mask.astype(np.float32), small.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
            for mask in cut
        ]
    solid = max(masks, key=lambda mask: mask_likelihood(mask, small, config)).astype(np.float32)
    return np.clip(cv2.resize(solid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def mask_likelihood(
    mask: np.ndarray, color: np.ndarray, config: SegmentationConfig = SegmentationConfig()
) -> float:
    """0..1: how well a mask (H, W) bool fits the object of an image (H, W, 3) float32 sRGB.

    The product of three fractions: of its outline that lies on edges of the image, of its colours that the
    rest of the image does not have, and of the image's border that it leaves free.
    """
    if not mask.any() or mask.all():
        return 0.0
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    strong = (gradient_magnitude(color) > config.edge_gradient).astype(np.uint8)
    near_edge = cv2.dilate(strong, np.ones((5, 5), np.uint8)) > 0
    outline = mask & ~ndimage.binary_erosion(mask, border_value=1)
    # Histograms of Lab in cells of side 4, inside and outside of the mask; their intersection is shared
    # colour.
    bins = np.clip((lab - (0, -128, -128)) / 4, 0, (25, 63, 63)).astype(np.int64) @ (64 * 64, 64, 1)
    inside, outside = (np.bincount(bins[area], minlength=26 * 64 * 64) / area.sum() for area in (mask, ~mask))
    shared = np.minimum(inside, outside).sum()
    return float(near_edge[outline].mean() * (1 - shared) * (1 - mask[border_mask(mask.shape)].mean()))


def border_mask(shape: tuple[int, int], lower: bool = True) -> np.ndarray:
    """(H, W) bool: the outermost pixels of an image, with or without its lower side."""
    outermost = np.ones(shape, bool)
    width = max(1, round(0.015 * max(shape)))
    outermost[width : -width if lower else None, width:-width] = False
    return outermost


def _backdrop_hypotheses(color: np.ndarray, config: SegmentationConfig) -> list[np.ndarray]:
    """What differs from a smooth backdrop, (H, W) bool each: with its soft shadows, and without them; an
    empty list if the border is not smooth."""
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    fit = fit_backdrop(lab, border_mask(lab.shape[:2]))
    if fit is None:
        return []
    backdrop, noise = fit
    threshold = max(config.min_backdrop_distance, 1.5 * noise)
    solid = _open_mask(np.linalg.norm(lab - backdrop, axis=2) > threshold)
    shadow = find_soft_shadow(color, cv2.cvtColor(backdrop, cv2.COLOR_LAB2RGB), solid)
    masks = [solid, _open_mask(solid & ~shadow)] if shadow.any() else [solid]
    return [_fill_small_holes(mask, config) for mask in masks]


def _fill_small_holes(mask: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """A mask without its small holes, most of which are paint of the background's colour; large ones, as
    between the legs of a chair, stay open."""
    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if count == 0:
        return mask
    small = np.bincount(holes.ravel()) < config.max_hole_fraction * mask.sum()
    small[0] = False
    return mask | small[holes]


def _open_mask(mask: np.ndarray) -> np.ndarray:
    """Morphological opening, which removes specks."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _grab_cut(image: np.ndarray, border: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """(H, W) bool object of an image whose border (H, W) bool is background."""
    # Seeds: probably foreground is what is far from the border's colours, by Otsu's threshold.
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
    distance = _distance_from_main_colors(lab, lab[border], config.border_colors)
    otsu, _ = cv2.threshold(np.clip(distance, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    foreground = distance > max(config.min_seed_distance, otsu)
    trimap = np.where(foreground, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[border] = cv2.GC_BGD
    if not (trimap == cv2.GC_PR_FGD).any():
        return np.zeros(trimap.shape, bool)
    # GrabCut changes the trimap in place; the seed makes its k-means repeatable.
    cv2.setRNGSeed(0)
    pixels = np.ascontiguousarray(np.round(image[..., ::-1] * 255).astype(np.uint8))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(pixels, trimap, None, *models, config.grab_cut_iterations, cv2.GC_INIT_WITH_MASK)
    return _fill_small_holes(_open_mask(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))), config)


def _distance_from_main_colors(lab: np.ndarray, pixels: np.ndarray, count: int) -> np.ndarray:
    """(H, W) float32 CIE Lab distance to the nearest of the ``count`` main colours of some pixels (N, 3)."""
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, _, centres = cv2.kmeans(np.ascontiguousarray(pixels), count, None, criteria, 2, cv2.KMEANS_PP_CENTERS)
    return np.linalg.norm(lab[:, :, None] - centres, axis=3).min(axis=2)


def add_mesh_interior(alpha: np.ndarray, mesh_mask: np.ndarray) -> np.ndarray:
    """(H, W) float32: a segmented alpha with the inside of the mesh's mask (H, W) bool added, since what the
    segmentation left out there is paint of the background's colour."""
    inset = 1 + max(alpha.shape) // 200
    inside = cv2.erode(mesh_mask.astype(np.uint8), np.ones((2 * inset + 1,) * 2, np.uint8))
    return np.maximum(alpha, inside.astype(np.float32))


def extend_colors(reference: Reference, inset: int) -> np.ndarray:
    """(H, W, 3) float32: the object's colours from ``inset`` pixels within its outline, continued outwards so
    that no background remains."""
    solid = cv2.erode((reference.alpha > 0.98).astype(np.uint8), np.ones((2 * inset + 1,) * 2, np.uint8)) > 0
    if not solid.any():
        solid = reference.alpha > 0.5
    _, nearest = ndimage.distance_transform_edt(~solid, return_indices=True)
    return reference.color[nearest[0], nearest[1]]
