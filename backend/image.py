"""Resizing images (H, W) or (H, W, C) of any type that OpenCV takes, by means over areas."""

import cv2
import numpy as np

SMALLEST_SIDE = 8
"""Pixels that the shorter side keeps at least."""


def resize_longest(image: np.ndarray, size: int) -> np.ndarray:
    """The image with ``size`` pixels along its longer side, also where it had fewer."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    shape = max(SMALLEST_SIDE, round(width * scale)), max(SMALLEST_SIDE, round(height * scale))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA)


def shrink_longest(image: np.ndarray, size: int) -> np.ndarray:
    """The image with at most ``size`` pixels along its longer side."""
    return resize_longest(image, min(size, max(image.shape[:2])))


def average_blocks(image: np.ndarray, stride: int) -> np.ndarray:
    """Means over squares of ``stride`` pixels; rows and columns that fill no square are left out."""
    if stride == 1:
        return image
    height, width = image.shape[0] // stride, image.shape[1] // stride
    cropped = image[: height * stride, : width * stride]
    return cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA)
