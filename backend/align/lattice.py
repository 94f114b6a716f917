"""A warp as a lattice of control points, and the Gauss-Newton step that moves it (after Zhou and Koltun 2014,
section 4)."""

import cv2
import numpy as np
from numba import njit
from scipy.linalg import solveh_banded

SPACING = 16
"""Pixels between control points."""

SMOOTHNESS = 300.0
"""Cost of one pixel of difference between neighbouring control points, in squared sRGB steps summed over
pixels."""

LARGEST_STEP = 3.0
"""Pixels that a control point may move at once."""


def flat(shape: tuple[int, int]) -> np.ndarray:
    """(R, C, 2) float32 lattice over an image of a shape that moves nothing."""
    return np.zeros((shape[0] // SPACING + 2, shape[1] // SPACING + 2, 2), np.float32)


def dense(lattice: np.ndarray, shape: tuple[int, int], stride: int = 1) -> np.ndarray:
    """(H, W, 2) float32 pixels to the right and downwards, linear between the control points, at the middles
    of squares of ``stride`` pixels, of which there are H x W."""
    x, y = ((stride * (np.arange(side) + 0.5) / SPACING).astype(np.float32) for side in (shape[1], shape[0]))
    return cv2.remap(lattice, *np.meshgrid(x, y), cv2.INTER_LINEAR)


def moved(
    lattice: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
    residual: np.ndarray,
    weights: np.ndarray,
    stride: int = 1,
) -> np.ndarray:
    """The lattice after one Gauss-Newton step.

    Args:
        lattice: (R, C, 2) float32.
        across, down: (H, W, C) float32, how the image changes per pixel.
        residual: (H, W, C) float32, what the image lacks.
        weights: (H, W) float32.
        stride: pixels along the squares of which these are the means.
    """
    rows, columns = lattice.shape[:2]
    matrix, right = np.zeros((2 * columns + 4, 2 * rows * columns)), np.zeros(2 * rows * columns)
    _add_pixels(across, down, residual, weights, stride, columns, matrix, right)
    _add_smoothness(lattice, matrix, right)
    step = solveh_banded(matrix, right, lower=True, check_finite=False).reshape(lattice.shape)
    return lattice + np.clip(step, -LARGEST_STEP, LARGEST_STEP).astype(np.float32)


@njit(cache=True, nogil=True)
def _add_pixels(across, down, residual, weights, stride, columns, matrix, right):
    """Adds the normal equations of all pixels; ``matrix[k, n]`` is the entry k below the diagonal of column
    n."""
    for y in range(weights.shape[0]):
        for x in range(weights.shape[1]):
            if weights[y, x] <= 0:
                continue
            xx, xy, yy, xr, yr = 0.0, 0.0, 0.0, 0.0, 0.0
            for c in range(across.shape[2]):
                gx, gy, r = across[y, x, c], down[y, x, c], residual[y, x, c]
                xx, xy, yy, xr, yr = xx + gx * gx, xy + gx * gy, yy + gy * gy, xr + gx * r, yr + gy * r
            u, v = stride * (x + 0.5) / SPACING, stride * (y + 0.5) / SPACING
            column, row = int(u), int(v)
            u, v = u - column, v - row
            for i in range(4):
                share = weights[y, x] * (u if i % 2 else 1 - u) * (v if i // 2 else 1 - v)
                n = 2 * ((row + i // 2) * columns + column + i % 2)
                right[n] += share * xr
                right[n + 1] += share * yr
                for j in range(i, 4):
                    both = share * (u if j % 2 else 1 - u) * (v if j // 2 else 1 - v)
                    below = 2 * ((row + j // 2) * columns + column + j % 2) - n
                    matrix[below, n] += both * xx
                    matrix[below, n + 1] += both * yy
                    matrix[below + 1, n] += both * xy
                    if below > 0:
                        matrix[below - 1, n + 1] += both * xy


@njit(cache=True, nogil=True)
def _add_smoothness(lattice, matrix, right):
    """Adds the springs between neighbouring control points, and a weak one that holds each where it is."""
    rows, columns = lattice.shape[:2]
    for row in range(rows):
        for column in range(columns):
            here = 2 * (row * columns + column)
            for axis in range(2):
                matrix[0, here + axis] += 1e-3 * SMOOTHNESS
            for along in range(2):
                if row + along >= rows or column + 1 - along >= columns:
                    continue
                there = 2 * ((row + along) * columns + column + 1 - along)
                for axis in range(2):
                    pull = SMOOTHNESS * (
                        lattice[row + along, column + 1 - along, axis] - lattice[row, column, axis]
                    )
                    matrix[0, here + axis] += SMOOTHNESS
                    matrix[0, there + axis] += SMOOTHNESS
                    matrix[there - here, here + axis] -= SMOOTHNESS
                    right[here + axis] += pull
                    right[there + axis] -= pull
