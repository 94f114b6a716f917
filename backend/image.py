"""Images (H, W) or (H, W, C) by OpenCV: resized, of any dtype that it accepts, by area averaging; decoded."""

import cv2
import numpy as np

MIN_SIZE = 8
"""Pixels that the shorter side has at least after resizing."""


def resize_longest(image: np.ndarray, size: int) -> np.ndarray:
    """The image with ``size`` pixels along its longer side, enlarged if it had fewer."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    shape = max(MIN_SIZE, round(width * scale)), max(MIN_SIZE, round(height * scale))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA)


def shrink_longest(image: np.ndarray, size: int) -> np.ndarray:
    """The image with at most ``size`` pixels along its longer side."""
    return resize_longest(image, min(size, max(image.shape[:2])))


def average_blocks(image: np.ndarray, stride: int) -> np.ndarray:
    """Means over blocks of ``stride`` x ``stride`` pixels; rows and columns that fill no block are
    cropped."""
    if stride == 1:
        return image
    height, width = image.shape[0] // stride, image.shape[1] // stride
    cropped = image[: height * stride, : width * stride]
    return cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA)


def decode_image(data: np.ndarray, color: bool) -> np.ndarray | None:
    """(H, W, 3) BGR or (H, W) grey uint8 of an image file (N,) uint8; None if it cannot be read, or has more
    pixels than OpenCV reads."""
    try:
        return cv2.imdecode(data, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE) if len(data) else None
    except cv2.error:
        return None
