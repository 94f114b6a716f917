"""The object in the reference: segmented from the background, and its colours continued beyond the
outline."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import ndimage

from ..api.errors import InvalidImage
from ..image import shrink_longest
from ..parallel import map_parallel
from .backdrop import find_soft_shadow, fit_backdrop, gradient_magnitude
from .mask_doubts import (
    choose_components,
    cut_sides,
    describe_mask,
    keep_large_components,
    outline_sharpness,
)
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
    # The same for an object in nearly the backdrop's colour, ...
    min_faint_distance: float = 0.5
    # ... if the backdrop has only so much noise.
    max_faint_noise: float = 0.4
    # Fraction of its outline that must be a sharp step, for a mask of such small distances.
    min_faint_sharpness: float = 0.9
    # Pixels by which compression and blur spread an outline.
    halo: int = 3
    # Fraction of the largest distance nearby below which a pixel at the outline belongs to that halo.
    halo_distance: float = 0.3
    # Distance of a part that is too thin for the opening, as a multiple of the threshold.
    thin_distance: float = 2.0
    # Pixels that such a part reaches away from the rest.
    thin_reach: float = 6.0
    # Smallest CIE Lab distance from the border's main colours at which GrabCut starts with foreground.
    min_seed_distance: float = 6.0
    # Main colours of the border (k-means clusters).
    border_colors: int = 4


def cut_out(reference: Reference) -> Reference:
    """The reference with an alpha that holds only the object: its own alpha, else a segmentation seeded from
    the border, whose doubts are in ``mask_notes``.

    Raises:
        InvalidImage: no object can be told from the background, or the image's own alpha leaves nothing.
    """
    alpha, notes = segment(reference.color) if reference.opaque else (reference.alpha, ())
    solid = keep_large_components(alpha > 0.5)
    if solid.sum() < 0.002 * solid.size:
        raise InvalidImage(
            "No object was found in the reference image. Use an image that shows the whole object before a "
            "plain or transparent background."
            if reference.opaque
            else "Hardly anything in the reference image is more than half opaque. Use an image whose "
            "object is opaque, and large enough to see."
        )
    segmented = reference.segmented or reference.opaque
    alpha = np.where(solid, alpha, 0).astype(np.float32)
    return replace(reference, alpha=alpha, segmented=segmented, mask_notes=notes)


def segment(
    color: np.ndarray, config: SegmentationConfig = SegmentationConfig()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The alpha (H, W) float32 of an image (H, W, 3) float32 sRGB whose border shows mostly background, and
    notes for the user about what may be wrong with it.

    Several hypotheses are made, and the one with the highest :func:`mask_likelihood` is taken: what differs
    from a smooth backdrop, with and without its soft shadows; if the border is not smooth, GrabCut (Rother et
    al. 2004) started from what differs from the colours of the border, or of the border without its lower
    side, at which images often cut an object off.
    """
    found = _find_foreground(color, config)
    mask, notes = choose_components(found.mask)
    notes += describe_mask(mask, found.mask, found.lab, found.likelihood, found.noise)
    return _enlarge(mask, color.shape[:2]), notes


def segment_all(color: np.ndarray, config: SegmentationConfig = SegmentationConfig()) -> np.ndarray:
    """The alpha (H, W) float32 of everything in an image (H, W, 3) float32 sRGB that is no background, be it
    one object or several; see :func:`segment`."""
    return _enlarge(_find_foreground(color, config).mask, color.shape[:2])


@dataclass(frozen=True)
class _Foreground:
    """The foreground of a small image.

    Attributes:
        mask: (h, w) bool.
        lab: (h, w, 3) float32 CIE Lab.
        likelihood: of the mask.
        noise: of a smooth backdrop; infinite if there is none.
    """

    mask: np.ndarray
    lab: np.ndarray
    likelihood: float
    noise: float


def _find_foreground(color: np.ndarray, config: SegmentationConfig) -> _Foreground:
    small = np.ascontiguousarray(shrink_longest(color, config.working_size))
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    fit = fit_backdrop(lab, border_mask(lab.shape[:2]))
    if fit:
        mask, likelihood = _segment_backdrop(small, lab, *fit, config)
    else:
        mask, likelihood = _segment_clutter(small, config)
    return _Foreground(_choose_side(mask), lab, likelihood, fit[1] if fit else np.inf)


def _enlarge(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 alpha of a small mask (h, w) bool."""
    alpha = cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(alpha, 0, 1)


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
    strong = (gradient_magnitude(lab) > config.edge_gradient).astype(np.uint8)
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


def _segment_backdrop(
    color: np.ndarray, lab: np.ndarray, backdrop: np.ndarray, noise: float, config: SegmentationConfig
) -> tuple[np.ndarray, float]:
    """(H, W) bool: what differs from a smooth backdrop (H, W, 3) CIE Lab; and its likelihood.

    An object in nearly the backdrop's colour is looked for too, and taken if its outline is sharp, which that
    of a faint shadow is not.
    """
    distance = np.linalg.norm(lab - backdrop, axis=2)
    threshold = max(config.min_backdrop_distance, 1.5 * noise)
    mask = _most_likely(distance, threshold, color, backdrop, config)
    if noise < config.max_faint_noise:
        faint = max(config.min_faint_distance, 2 * noise)
        fainter = _most_likely(distance, faint, color, backdrop, config)
        sharpness = outline_sharpness(fainter, lab)
        if fainter.sum() > 1.05 * mask.sum() and sharpness > config.min_faint_sharpness:
            return fainter, sharpness
    return mask, mask_likelihood(mask, color, config)


def _segment_clutter(color: np.ndarray, config: SegmentationConfig) -> tuple[np.ndarray, float]:
    """(H, W) bool: the object in front of a background of several colours, and its likelihood."""
    smaller = shrink_longest(color, config.grab_cut_size)

    def cut(lower: bool) -> np.ndarray:
        mask = _grab_cut(smaller, border_mask(smaller.shape[:2], lower), config).astype(np.float32)
        return cv2.resize(mask, color.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5

    # OpenCV has a random generator per thread, so both are repeatable.
    scored = [(mask_likelihood(mask, color, config), mask) for mask in map_parallel(cut, (True, False))]
    likelihood, mask = max(scored, key=lambda pair: pair[0])
    return mask, likelihood


def _most_likely(
    distance: np.ndarray,
    threshold: float,
    color: np.ndarray,
    backdrop: np.ndarray,
    config: SegmentationConfig,
) -> np.ndarray:
    """(H, W) bool: what is farther than a threshold from the backdrop (H, W, 3) CIE Lab, with its soft
    shadows or without them."""
    solid = distance > threshold
    opened = cv2.morphologyEx(solid.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    shadow = find_soft_shadow(color, cv2.cvtColor(backdrop, cv2.COLOR_LAB2RGB), opened)
    masks = []
    for mask in (solid, solid & ~shadow) if shadow.any() else (solid,):
        trimmed = _remove_halo(mask, distance, config)
        masks.append(_fill_small_holes(_remove_specks(trimmed, distance, threshold, config), config))
    return max(masks, key=lambda mask: mask_likelihood(mask, color, config))


def _choose_side(mask: np.ndarray) -> np.ndarray:
    """A mask or, if three sides of the image cut both off and only the other one shows at the image's centre,
    the other one: what the border shows most of is then the object."""
    height, width = mask.shape
    center = mask[height // 3 : -(height // 3), width // 3 : -(width // 3)]
    inverted = cut_sides(mask) > 2 and cut_sides(~mask) > 2 and center.mean() < 0.5
    return ndimage.binary_fill_holes(~mask) if inverted else mask


def _remove_halo(mask: np.ndarray, distance: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """A mask without those pixels at its outline that are much nearer to the backdrop than others beside
    them: compression and blur spread an outline."""
    size = 2 * config.halo + 1
    near_outside = cv2.dilate((~mask).astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    largest = cv2.dilate(distance, np.ones((size, size), np.uint8))
    return mask & ~(near_outside & (distance < config.halo_distance * largest))


def _fill_small_holes(mask: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """A mask without its small holes, most of which are paint of the background's colour; large ones, as
    between the legs of a chair, stay open."""
    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if count == 0:
        return mask
    small = np.bincount(holes.ravel()) < config.max_hole_fraction * mask.sum()
    small[0] = False
    return mask | small[holes]


def _remove_specks(
    mask: np.ndarray, distance: np.ndarray, threshold: float, config: SegmentationConfig
) -> np.ndarray:
    """A mask without its specks: its morphological opening, and the parts too thin for that which are far
    from the background's colours and reach away from the rest."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    if not opened.any():
        return opened
    body = keep_large_components(opened)
    thin = mask & ~body & (opened | (distance > config.thin_distance * threshold))
    # Parts that a pixel interrupts are one.
    labels, count = ndimage.label(cv2.dilate(thin.astype(np.uint8), np.ones((3, 3), np.uint8)))
    if count == 0:
        return opened
    away = ndimage.distance_transform_edt(~body)
    numbers = np.arange(1, count + 1)
    reach, gap = ndimage.maximum(away, labels, numbers), ndimage.minimum(away, labels, numbers)
    return opened | (thin & np.isin(labels, numbers[(reach >= config.thin_reach) & (gap <= 1)]))


def _grab_cut(image: np.ndarray, border: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """(H, W) bool object of an image whose border (H, W) bool is background."""
    # Seeds: probably foreground is what is far from the border's colours, by Otsu's threshold.
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
    distance = distance_from_main_colors(lab, lab[border], config.border_colors)
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
    mask = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return _fill_small_holes(_remove_specks(mask, distance, config.min_seed_distance, config), config)


def distance_from_main_colors(lab: np.ndarray, pixels: np.ndarray, count: int) -> np.ndarray:
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
