"""Reading images between their pixels."""

import numpy as np
from numba import njit


def bilinear(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(N, C) float32: an image (H, W, C) at places (N, 2) in pixels (column, row; centres at +0.5), edges
    repeated."""
    result = np.empty((len(pixels), image.shape[2]), np.float32)
    _bilinear(image, pixels, result)
    return result


@njit(cache=True, nogil=True)
def _bilinear(image, pixels, result):
    height, width, channels = image.shape
    for k in range(pixels.shape[0]):
        x = min(max(pixels[k, 0] - 0.5, 0.0), width - 1.0)
        y = min(max(pixels[k, 1] - 0.5, 0.0), height - 1.0)
        x0, y0 = int(x), int(y)
        x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
        fx, fy = x - x0, y - y0
        for c in range(channels):
            top = image[y0, x0, c] * (1 - fx) + image[y0, x1, c] * fx
            bottom = image[y1, x0, c] * (1 - fx) + image[y1, x1, c] * fx
            result[k, c] = top * (1 - fy) + bottom * fy
