"""A small image of the reference with the object's outline, from which a user sees what was found."""

import cv2
import numpy as np

from ..image import shrink_longest
from .reference import Reference

OUTLINE_SIZE = 512
"""Pixels along the longer side."""

DIMMED = 0.45
"""Brightness of what surrounds the object, which is grey, relative to the reference."""

OUTLINE_COLOR = (255, 170, 20)
"""sRGB of the outline."""


def draw_outline(reference: Reference, size: int = OUTLINE_SIZE) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: the reference, grey and dimmed around the object, which is outlined."""
    color, alpha = shrink_longest(reference.color, size), shrink_longest(reference.alpha, size)
    # Grey, since transparent pixels may have any colour.
    dimmed = np.repeat(DIMMED * cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    blended = dimmed + np.clip(alpha, 0, 1)[..., None] * (color - dimmed)
    image = np.round(255 * np.clip(blended, 0, 1)).astype(np.uint8)
    solid = (alpha > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    width = max(1, round(max(image.shape) / 200))
    return cv2.drawContours(image, contours, -1, OUTLINE_COLOR, width, cv2.LINE_AA)


def make_outline_preview(reference: Reference) -> np.ndarray:
    """(2, S, S, 3) uint8: :func:`draw_outline` and the mask, each in the upper left corner of a black square
    of :data:`OUTLINE_SIZE` pixels."""
    mask = np.round(255 * shrink_longest(reference.alpha, OUTLINE_SIZE)).astype(np.uint8)
    squares = np.zeros((2, OUTLINE_SIZE, OUTLINE_SIZE, 3), np.uint8)
    for square, image in zip(squares, (draw_outline(reference), mask[..., None]), strict=True):
        square[: image.shape[0], : image.shape[1]] = image
    return squares
