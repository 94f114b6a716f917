"""Small previews of the orbits' frames, shown while they are painted."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

PreviewCallback = Callable[[np.ndarray], None]
"""Called with images (N, PREVIEW_SIZE, PREVIEW_SIZE, 3) uint8 sRGB, which replace those shown before; cheap,
may be called at any time."""

PREVIEW_SIZE = 64
"""Width and height of a preview image in pixels."""

PREVIEW_COUNT = 8
"""Largest number of preview images."""


def ignore_preview(images: np.ndarray) -> None:
    """A preview callback that does nothing."""


def make_preview_strip(frames: Sequence[np.ndarray]) -> np.ndarray:
    """(N, PREVIEW_SIZE, PREVIEW_SIZE, 3) uint8: previews of some frames (H, W, 3) uint8, evenly spread over
    all."""
    chosen = np.linspace(0, len(frames), min(len(frames), PREVIEW_COUNT), endpoint=False).astype(int)
    return np.stack([_fit_into_square(frames[index]) for index in chosen])


def _fit_into_square(frame: np.ndarray) -> np.ndarray:
    """A frame scaled to the largest size that fits into the middle of a black square."""
    longest = max(frame.shape[:2])
    height, width = (max(1, round(PREVIEW_SIZE * size / longest)) for size in frame.shape[:2])
    square = np.zeros((PREVIEW_SIZE, PREVIEW_SIZE, 3), np.uint8)
    top, left = (PREVIEW_SIZE - height) // 2, (PREVIEW_SIZE - width) // 2
    shrunk = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    square[top : top + height, left : left + width] = shrunk
    return square
