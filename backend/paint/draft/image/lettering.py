"""Where the reference shows print: it must not be mirrored, nor a piece of it copied."""

import cv2
import numpy as np
from scipy.spatial import cKDTree

SMALLEST, LARGEST = 5, 0.12
"""Height of a letter: in pixels, and as a share of the object's longer side."""

CONTRAST = 0.09
"""Lightness, 0..1, by which letters differ from what is around them."""

INK = 0.3
"""Share of a letter and its surroundings up to which they are ink: a word stands on plain ground, a stripe
among stripes."""

COMPANY = 3
"""Letters of like height that a letter has beside it on its line."""

DIRECTIONS, STRAIGHT = np.radians(np.arange(0, 180, 10)), 0.2
"""Of lines, whatever way they run, and the sine of the angle by which a letter may lie beside them: blots all
around are no line."""


def lettering(colors: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """(H, W) bool: lines of letters, and what is between them, in an image (H, W, 3) float32 sRGB of an
    object (H, W) bool.

    Letters are blots darker or lighter than the plain ground around them, of like height, side by side on a
    line. Other rows of small like things are taken for letters too, which does little harm: they are not
    mirrored and, where they are a small part of what is shown, not copied.
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
    letter = (
        (height >= SMALLEST)
        & (np.maximum(width, height) < largest)
        & (width < 3 * height)
        & (height < 6 * width)
    )
    letter &= (
        (area > 0.15 * width * height) & (area < 0.85 * width * height) & (_share_around(blots, boxes) < INK)
    )
    boxes, middles, height = boxes[letter], middles[letter], height[letter].astype(np.float64)
    if len(boxes) <= COMPANY:
        return
    distance, near = cKDTree(middles).query(middles, k=min(9, len(middles)))
    like = (np.abs(np.log(height[near] / height[:, None])) < 0.5) & (distance < 2.5 * height[:, None])
    like[:, 0] = False
    column, row = np.moveaxis(middles[near] - middles[:, None], 2, 0)
    in_line = like & (np.abs(np.sin(np.arctan2(row, column) - DIRECTIONS[:, None, None])) < STRAIGHT)
    company = in_line.sum(axis=2).max(axis=0)
    for left, top, wide, high, _ in boxes[company >= COMPANY]:
        margin = int(0.6 * high) + 1
        result[max(top - margin, 0) : top + high + margin, max(left - margin, 0) : left + wide + margin] = 1


def _share_around(blots: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) which share of each box (N, 5: left, top, width, height, area), made wider by a third of its
    height, blots (H, W) bool take."""
    margin = boxes[:, 3] // 3 + 1
    first = np.maximum(boxes[:, :2] - margin[:, None], 0)
    last = np.minimum(boxes[:, :2] + boxes[:, 2:4] + margin[:, None], blots.shape[::-1])
    (left, top), (right, bottom) = first.T, last.T
    total = cv2.integral(blots.astype(np.uint8))
    taken = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    return taken / np.prod(last - first, axis=1)
