"""Where the reference shows print: it must not be mirrored, nor a piece of it copied."""

import cv2
import numpy as np
from scipy.spatial import cKDTree

SMALLEST, LARGEST = 5, 0.12
"""Height of a letter: in pixels, and as a share of the object's longer side."""

CONTRAST = 0.09
"""Lightness, 0..1, by which letters differ from what is around them."""

COMPANY = 3
"""Letters of like height that a letter has beside it on its line."""


def lettering(colors: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """(H, W) bool: lines of letters, and what is between them, in an image (H, W, 3) float32 sRGB of an object (H, W) bool.

    Letters are blots darker or lighter than their surroundings, of like height, side by side. Other rows of small like things are taken for
    letters too, which does little harm: they are not mirrored and, where they are a small part of what is shown, not copied.
    """
    rows, columns = np.nonzero(shown)
    result = np.zeros(shown.shape, np.uint8)
    if not len(rows):
        return result > 0
    size = max(np.ptp(rows), np.ptp(columns)) + 1
    light = cv2.cvtColor(np.ascontiguousarray(colors, np.float32), cv2.COLOR_RGB2GRAY)
    for reach in (0.015 * size, 0.04 * size):
        relief = light - cv2.GaussianBlur(light, (0, 0), reach)
        for sign in (-1, 1):
            _mark(result, (sign * relief > CONTRAST) & shown, LARGEST * size)
    return result > 0


def _mark(result: np.ndarray, blots: np.ndarray, largest: float) -> None:
    """Marks the blots (H, W) bool that stand in lines."""
    _, _, boxes, middles = cv2.connectedComponentsWithStats(blots.astype(np.uint8))
    boxes, middles = boxes[1:], middles[1:]
    width, height, area = boxes[:, 2], boxes[:, 3], boxes[:, 4]
    letter = (height >= SMALLEST) & (np.maximum(width, height) < largest) & (width < 3 * height) & (height < 6 * width)
    letter &= (area > 0.15 * width * height) & (area < 0.85 * width * height)
    boxes, middles, height = boxes[letter], middles[letter], height[letter].astype(np.float64)
    if len(boxes) <= COMPANY:
        return
    distance, near = cKDTree(middles).query(middles, k=min(9, len(middles)))
    like = (np.abs(np.log(height[near] / height[:, None])) < 0.5) & (distance < 2.5 * height[:, None])
    like[:, 0] = False
    for (left, top, wide, high, _), company, high_enough in zip(boxes, like.sum(axis=1), height, strict=True):
        if company >= COMPANY:
            margin = int(0.6 * high_enough) + 1
            result[max(top - margin, 0):top + high + margin, max(left - margin, 0):left + wide + margin] = 1
