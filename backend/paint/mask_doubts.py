"""Which parts of a segmented mask are the object, and what about the mask is doubtful without knowing the
object's shape."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from .backdrop import gradient_magnitude

EIGHT_NEIGHBORS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected."""


@dataclass(frozen=True)
class ComponentConfig:
    """Which connected components of a mask are the object."""

    # Fraction of the largest component's area from which on a component counts.
    min_area: float = 0.05
    # Fraction of an image's side that a component covers at least if the side cuts it off.
    min_contact: float = 0.02
    # Fraction of the largest cut-off component's area from which on one that the border leaves free is the
    # object, and the cut-off ones are something else.
    min_free_area: float = 0.2
    # Fraction of the largest component's area from which on another may be a second object.
    min_second_area: float = 0.08
    # Fraction of the largest component's area from which on another is as good an object.
    min_equal_area: float = 0.25


@dataclass(frozen=True)
class DoubtConfig:
    """When a mask is doubtful. Lengths are in pixels of an image of 1024 pixels or less."""

    # Sides of the image that may cut the object off.
    max_cut_sides: int = 2
    # Fraction of the outline that may lack a sharp step.
    max_blurred_outline: float = 0.15
    # Steps across the outline are measured from here inside ...
    inside: float = 1.0
    # ... to here outside ...
    outside: float = 2.5
    # ... and to here, where a soft slope has become higher.
    far_outside: float = 8.0
    # Fraction of the latter that the former is at a sharp step.
    min_sharpness: float = 0.5
    # Smallest CIE Lab distance that is a step, above that of one level of 8 bits.
    min_step: float = 0.9
    # Fraction of the outline that must have a sharp step for the mask to be an object at all.
    min_outline: float = 0.5
    # Fraction of the image below which the mask is hardly the object.
    min_area: float = 0.02
    # Smallest likelihood of a mask that shows the object without a doubt.
    min_likelihood: float = 0.6
    # Area of a hole, as a multiple of the mask's, from which on the mask may be only an outline.
    max_hole: float = 1.0
    # CIE Lab distance up to which a background is as plain as a drawn one.
    max_noise: float = 0.4
    # CIE Lab distance from pixel to pixel from which on there is an edge outside of the mask ...
    faint_edge: float = 0.2
    # ... if it is so many times the distance that nine tenths of the pixels there stay below, ...
    edge_above_usual: float = 1.5
    # ... and so many times the mean distance near it, as a soft slope is not.
    edge_above_mean: float = 1.8
    # Pixels from the mask and from the image's border up to which edges do not count.
    edge_margin: int = 10
    # Width of an edge in pixels, as it is counted.
    edge_width: float = 3.0
    # Pixels that an edge has at least; noise makes smaller ones.
    min_edge_area: int = 60
    # Length of the edges outside of the mask, as a fraction of the outline's, above which the mask may lack
    # parts of the object.
    max_edges_outside: float = 0.15


def keep_large_components(mask: np.ndarray, config: ComponentConfig = ComponentConfig()) -> np.ndarray:
    """(H, W) bool: the connected components of a mask whose area is not small beside the largest one's."""
    labels, count = ndimage.label(mask, EIGHT_NEIGHBORS)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.isin(labels, 1 + np.flatnonzero(sizes >= config.min_area * sizes.max()))


def count_objects(mask: np.ndarray, config: ComponentConfig = ComponentConfig()) -> int:
    """How many connected components of a mask (H, W) bool are about equally large."""
    areas = np.bincount(ndimage.label(mask, EIGHT_NEIGHBORS)[0].ravel())[1:]
    return int((areas >= config.min_equal_area * areas.max(initial=0)).sum())


def choose_components(
    mask: np.ndarray, config: ComponentConfig = ComponentConfig()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The components of a mask (H, W) bool that are the object, and notes for the user.

    Small ones are dropped, and so is what the image's border cuts off if a component of some size is free of
    the border.
    """
    mask = keep_large_components(mask, config)
    labels, count = ndimage.label(mask, EIGHT_NEIGHBORS)
    if count < 2:
        return mask, ()
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    cut = np.array([bool(cut_sides(labels == label, config)) for label in range(1, count + 1)])
    numbers, notes = np.arange(1, count + 1), []
    free, beside = numbers[~cut], numbers[cut]
    if len(free) and len(beside) and areas[free].max() >= config.min_free_area * areas[beside].max():
        mask, numbers = np.isin(labels, free), free
        notes.append(
            "Something else at the border of the reference image was left out. If it belongs to the object, "
            "use an image that shows the whole object, or give a mask."
        )
    if np.sort(areas[numbers])[:-1].sum() >= config.min_second_area * areas[numbers].max():
        notes.append(
            f"The reference image shows {len(numbers)} separate things. If they are several objects, or "
            "views of one, crop the image to one of them, or give a mask."
        )
    return mask, tuple(notes)


def cut_sides(mask: np.ndarray, config: ComponentConfig = ComponentConfig()) -> int:
    """How many sides of the image cut off a mask (H, W) bool."""
    sides = mask[0], mask[-1], mask[:, 0], mask[:, -1]
    return sum(side.mean() >= config.min_contact for side in sides)


def describe_mask(
    mask: np.ndarray,
    found: np.ndarray,
    lab: np.ndarray,
    likelihood: float,
    noise: float,
    config: DoubtConfig = DoubtConfig(),
) -> tuple[str, ...]:
    """Notes for the user about why a mask may not be the object.

    Args:
        mask: (H, W) bool.
        found: (H, W) bool, the mask before some of its components were left out.
        lab: (H, W, 3) float32 CIE Lab, the image.
        likelihood: 0..1, how well it fits, see :func:`backend.paint.foreground.mask_likelihood`.
        noise: CIE Lab distance by which the background differs from a smooth one. Without noise, every edge
            in the image is the object's.
        config: thresholds.
    """
    sides = cut_sides(mask)
    if sides > config.max_cut_sides:
        return (
            f"{'All four' if sides == 4 else 'Three'} borders of the reference image cut the object off, so "
            "what is object and what is background is a guess. Use an image that shows the whole object with "
            "some background around it, or give a mask.",
        )
    sharpness = outline_sharpness(mask, lab, config)
    if sharpness < config.min_outline or mask.mean() < config.min_area:
        return (
            "The object could not be told from the background of the reference image. Use an image that "
            "shows the whole object before a plain background of another colour, or give a mask.",
        )
    holes = ndimage.binary_fill_holes(mask) & ~mask
    if holes.sum() > config.max_hole * mask.sum():
        return (
            "Inside its outline the object has the background's colour, and was taken as a hole. If it is "
            "none, use an image with a background of another colour, or give a mask.",
        )
    if (
        sharpness < 1 - config.max_blurred_outline
        or likelihood < config.min_likelihood
        or (noise < config.max_noise and edges_outside(found, lab, config) > config.max_edges_outside)
    ):
        return (
            "Parts of the object hardly differ from the background of the reference image, so some may be "
            "missing. Use an image with a background of another colour, or give a mask.",
        )
    return ()


def outline_sharpness(mask: np.ndarray, lab: np.ndarray, config: DoubtConfig = DoubtConfig()) -> float:
    """Fraction of the outline of a mask (H, W) bool, where the image's border does not cut it off, at which
    the image (H, W, 3) CIE Lab has a sharp step: one that is not much higher farther outside, as the slope of
    a shadow or of an object that fades into its background is."""
    outline = mask & ~ndimage.binary_erosion(mask, border_value=1)
    rows, columns = np.nonzero(outline)
    if len(rows) == 0:
        return 0.0
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0)
    outwards = -np.stack([cv2.Sobel(smooth, cv2.CV_32F, *axis)[rows, columns] for axis in ((0, 1), (1, 0))])
    outwards /= np.maximum(np.linalg.norm(outwards, axis=0), 1e-6)
    blurred = cv2.GaussianBlur(lab, (0, 0), 0.7)

    def sample(offset: float) -> np.ndarray:
        y, x = np.float32(np.stack([rows, columns]) + offset * outwards)
        return cv2.remap(blurred, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]

    inside = sample(-config.inside)
    step, far_step = (
        np.linalg.norm(sample(offset) - inside, axis=1) for offset in (config.outside, config.far_outside)
    )
    return float(((step >= config.min_step) & (step >= config.min_sharpness * far_step)).mean())


def edges_outside(mask: np.ndarray, lab: np.ndarray, config: DoubtConfig = DoubtConfig()) -> float:
    """The length of the sharp edges of an image (H, W, 3) CIE Lab outside of a mask (H, W) bool, as a
    fraction of the length of the mask's outline."""
    size = 2 * config.edge_margin + 1
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) == 0
    outside[: config.edge_margin] = outside[-config.edge_margin :] = False
    outside[:, : config.edge_margin] = outside[:, -config.edge_margin :] = False
    if not outside.any():
        return 0.0
    gradient = gradient_magnitude(lab)
    usual = max(config.faint_edge, config.edge_above_usual * float(np.quantile(gradient[outside], 0.9)))
    mean = cv2.blur(gradient, (size, size))
    edge = outside & (gradient > usual) & (gradient > config.edge_above_mean * mean)
    areas = np.bincount(ndimage.label(edge, EIGHT_NEIGHBORS)[0].ravel())[1:]
    outline = mask & ~ndimage.binary_erosion(mask, border_value=1)
    return float(areas[areas >= config.min_edge_area].sum() / config.edge_width / max(outline.sum(), 1))
