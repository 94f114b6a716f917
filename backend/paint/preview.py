"""Small pictures of the orbits, shown while they are painted."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

Show = Callable[[np.ndarray], None]
"""Shows pictures (N, SIZE, SIZE, 3) uint8 sRGB in place of those before; cheap, and may be called at any
time."""

SIZE = 64
"""Pixels along a picture's side."""

COUNT = 8
"""Pictures at most."""


def unseen(pictures: np.ndarray) -> None:
    """For those who do not look."""


def strip(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of some of the frames (H, W, 3) uint8, evenly spread over all."""
    chosen = np.linspace(0, len(frames), min(len(frames), COUNT), endpoint=False).astype(int)
    return np.stack([_square(frames[number]) for number in chosen])


def _square(frame: np.ndarray) -> np.ndarray:
    """A frame as large as fits in the middle of a black square."""
    height, width = (max(1, round(SIZE * side / max(frame.shape[:2]))) for side in frame.shape[:2])
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    picture[top : top + height, left : left + width] = cv2.resize(
        frame, (width, height), interpolation=cv2.INTER_AREA
    )
    return picture
