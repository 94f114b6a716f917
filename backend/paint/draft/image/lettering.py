"""Detects lettering in the reference: it must not be mirrored, and pieces of it must not be copied."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class LetteringConfig:
    """What counts as a letter, and as a line of letters."""

    # Smallest height of a letter in pixels.
    min_height: int = 5
    # Largest height and width of a letter, as a fraction of the object's longer side.
    max_size: float = 0.12
    # Radii of the blur that gives the ground around a letter, as fractions of the object's longer side.
    ground_radii: tuple[float, ...] = (0.015, 0.04)
    # Difference in lightness, 0..1, between a letter and the ground around it.
    min_contrast: float = 0.09
    # Fraction of its bounding box that a letter fills at least.
    min_fill: float = 0.15
    # Fraction of its bounding box that a letter fills at most.
    max_fill: float = 0.85
    # Largest fraction of a letter and its surroundings that is ink: a word stands on plain ground, a stripe
    # among stripes.
    max_ink: float = 0.3
    # Letters of similar height that a letter needs beside it on its line.
    min_neighbours: int = 3
    # Degrees between the directions of lines that are tried; lines may run in any.
    direction_step: int = 10
    # Sine of the largest angle between a line and the way to a letter on it: blots all around are no line.
    max_deviation: float = 0.2


def detect_lettering(
    colors: np.ndarray, shown: np.ndarray, config: LetteringConfig = LetteringConfig()
) -> np.ndarray:
    """(H, W) bool: lines of letters, and what is between the letters, in an image (H, W, 3) float32 sRGB of
    an object (H, W) bool.

    Letters are blots darker or lighter than the plain ground around them, of similar height, side by side on
    a line. Other rows of small similar things are taken for letters too, which does little harm: they are not
    mirrored and, if they are a small fraction of what is shown, not copied.
    """
    rows, columns = np.nonzero(shown)
    result = np.zeros(shown.shape, np.uint8)
    if not len(rows):
        return result > 0
    size = max(np.ptp(rows), np.ptp(columns)) + 1
    lightness = cv2.cvtColor(np.ascontiguousarray(colors, np.float32), cv2.COLOR_RGB2GRAY)
    for radius in config.ground_radii:
        relief = lightness - cv2.GaussianBlur(lightness, (0, 0), radius * size)
        for sign in (-1, 1):
            blots = (sign * relief > config.min_contrast) & shown
            _mark_lines(result, blots, config.max_size * size, config)
    return result > 0


def _mark_lines(result: np.ndarray, blots: np.ndarray, max_size: float, config: LetteringConfig) -> None:
    """Marks in ``result`` (H, W) uint8 the blots (H, W) bool that stand in lines; ``max_size`` in pixels."""
    # Letters, by size, proportions, and ink within and around them.
    _, _, boxes, middles = cv2.connectedComponentsWithStats(blots.astype(np.uint8))
    boxes, middles = boxes[1:], middles[1:]
    width, height, area = boxes[:, 2], boxes[:, 3], boxes[:, 4]
    letter = (height >= config.min_height) & (np.maximum(width, height) < max_size)
    letter &= (width < 3 * height) & (height < 6 * width)
    letter &= (area > config.min_fill * width * height) & (area < config.max_fill * width * height)
    letter &= _ink_fraction(blots, boxes) < config.max_ink
    boxes, middles, height = boxes[letter], middles[letter], height[letter].astype(np.float64)
    if len(boxes) <= config.min_neighbours:
        return
    # Near letters of similar height: (N, 9), the first of which is the letter itself.
    distance, near = cKDTree(middles).query(middles, k=min(9, len(middles)))
    similar = (np.abs(np.log(height[near] / height[:, None])) < 0.5) & (distance < 2.5 * height[:, None])
    similar[:, 0] = False
    # The direction (D, 1, 1) of a line in which a letter has most of them.
    directions = np.radians(np.arange(0, 180, config.direction_step))[:, None, None]
    column, row = np.moveaxis(middles[near] - middles[:, None], 2, 0)
    deviation = np.abs(np.sin(np.arctan2(row, column) - directions))
    neighbours = (similar & (deviation < config.max_deviation)).sum(axis=2).max(axis=0)
    for left, top, wide, high, _ in boxes[neighbours >= config.min_neighbours]:
        margin = int(0.6 * high) + 1
        result[max(top - margin, 0) : top + high + margin, max(left - margin, 0) : left + wide + margin] = 1


def _ink_fraction(blots: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,): the fraction of each box (N, 5: left, top, width, height, area), widened by a third of its
    height, that blots (H, W) bool cover."""
    margin = boxes[:, 3] // 3 + 1
    first = np.maximum(boxes[:, :2] - margin[:, None], 0)
    last = np.minimum(boxes[:, :2] + boxes[:, 2:4] + margin[:, None], blots.shape[::-1])
    (left, top), (right, bottom) = first.T, last.T
    # Sums over boxes by a summed-area table.
    total = cv2.integral(blots.astype(np.uint8))
    covered = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    return covered / np.prod(last - first, axis=1)
