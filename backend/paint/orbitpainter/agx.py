"""Blender's AgX view transform, through which the colours of the published training clips went, and its
inverse (docs/models/orbitpainter.md#colours-went-through-agx).

``agx.png`` holds what Blender makes of a grid of sRGB colours; ``tests/blender/test_agx.py`` compares it with
Blender's own and can generate it again.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numba import njit
from scipy.spatial import cKDTree

GRID_SIZE = 33
"""Colours of the grid along each channel: red, green and blue, from 0 to 1 sRGB-encoded."""

TABLE_FILE = Path(__file__).with_name("agx.png")
"""(GRID_SIZE^2, GRID_SIZE, 3) 16-bit: row ``GRID_SIZE * red + green``, column ``blue``."""

_INVERSE_GRID_SIZE = 17
"""Colours along each channel of the grid of first guesses for the inverse."""

_NEWTON_STEPS = 12
"""Steps of the inverse at most, shortened ones included."""


def encode(color: np.ndarray) -> np.ndarray:
    """(..., 3) float32 0..1: base colours (..., 3) float32 0..1 sRGB as Blender shows them; white becomes
    0.77."""
    return _look_up(_load_table(), color)


def decode(color: np.ndarray) -> np.ndarray:
    """(..., 3) float32 0..1 sRGB: the base colours that Blender shows as ``color``; for colours that it never
    shows, a near one."""
    result = _look_up(_load_first_guesses(), color)
    _invert(_load_table(), np.ascontiguousarray(color, np.float32).reshape(-1, 3), result.reshape(-1, 3))
    return result


@cache
def _load_table() -> np.ndarray:
    """(GRID_SIZE, GRID_SIZE, GRID_SIZE, 3) float32 0..1."""
    image = cv2.imread(str(TABLE_FILE), cv2.IMREAD_UNCHANGED)[..., ::-1]
    return image.reshape(GRID_SIZE, GRID_SIZE, GRID_SIZE, 3).astype(np.float32) / 65535


@cache
def _load_first_guesses() -> np.ndarray:
    """(_INVERSE_GRID_SIZE x 3, 3) float32: on a grid of shown colours, the base colour of the table that
    comes closest."""
    _, nearest = cKDTree(_load_table().reshape(-1, 3)).query(_color_grid(_INVERSE_GRID_SIZE))
    guesses = _color_grid(GRID_SIZE)[nearest]
    return guesses.reshape(_INVERSE_GRID_SIZE, _INVERSE_GRID_SIZE, _INVERSE_GRID_SIZE, 3).astype(np.float32)


def _color_grid(size: int) -> np.ndarray:
    """(size^3, 3) float64: all colours of a grid."""
    return np.stack(np.meshgrid(*3 * [np.linspace(0, 1, size)], indexing="ij"), axis=-1).reshape(-1, 3)


def _look_up(table: np.ndarray, color: np.ndarray) -> np.ndarray:
    result = np.empty(color.shape, np.float32)
    _interpolate(table, np.ascontiguousarray(color, np.float32).reshape(-1, 3), result.reshape(-1, 3))
    return result


@njit(cache=True, nogil=True)
def _interpolate(table, color, result):
    """Writes the table's values at colours (N, 3) to ``result`` (N, 3)."""
    slopes = np.empty((3, 3))
    for k in range(color.shape[0]):
        result[k] = _interpolate_trilinear(table, color[k], slopes)


@njit(cache=True, nogil=True)
def _invert(table, shown, color):
    """Newton's method in place on ``color`` (N, 3), towards the colours that the table maps to ``shown``
    (N, 3)."""
    slopes, trial_slopes, trial, step = np.empty((3, 3)), np.empty((3, 3)), np.empty(3), np.empty(3)
    for k in range(color.shape[0]):
        residual = shown[k] - np.array(_interpolate_trilinear(table, color[k], slopes))
        length = 1.0
        for _ in range(_NEWTON_STEPS):
            error, determinant = (residual * residual).sum(), _determinant(slopes[0], slopes[1], slopes[2])
            if error < 1e-9 or abs(determinant) < 1e-9:
                break
            # The Newton step by Cramer's rule.
            step[0] = _determinant(residual, slopes[1], slopes[2]) / determinant
            step[1] = _determinant(slopes[0], residual, slopes[2]) / determinant
            step[2] = _determinant(slopes[0], slopes[1], residual) / determinant
            for channel in range(3):
                trial[channel] = min(max(color[k, channel] + length * step[channel], 0), 1)
            # Accept it if the error falls, otherwise try a shorter one.
            trial_residual = shown[k] - np.array(_interpolate_trilinear(table, trial, trial_slopes))
            if (trial_residual * trial_residual).sum() < error:
                color[k], residual, length = trial, trial_residual, 1.0
                slopes[:] = trial_slopes
            else:
                length /= 4


@njit(cache=True, nogil=True)
def _determinant(a, b, c):
    """Determinant of the matrix with the rows a, b and c."""
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )


@njit(cache=True, nogil=True)
def _interpolate_trilinear(table, color, slopes):
    """The table's value at one colour; ``slopes`` (3, 3) takes its derivatives by red, green and blue."""
    # The cell of the grid, and the place in it, 0..1.
    last = table.shape[0] - 1
    red = min(max(color[0], 0), 1) * last
    green = min(max(color[1], 0), 1) * last
    blue = min(max(color[2], 0), 1) * last
    i, j, m = min(int(red), last - 1), min(int(green), last - 1), min(int(blue), last - 1)
    red, green, blue = red - i, green - j, blue - m
    total_red, total_green, total_blue = 0.0, 0.0, 0.0
    slopes[:] = 0
    for corner in range(8):
        a, b, c = corner & 1, corner >> 1 & 1, corner >> 2
        u, v, w = (red if a else 1 - red), (green if b else 1 - green), (blue if c else 1 - blue)
        entry = table[i + a, j + b, m + c]
        # Value.
        weight = u * v * w
        total_red += weight * entry[0]
        total_green += weight * entry[1]
        total_blue += weight * entry[2]
        # Derivatives: the weight's factor of that channel becomes its slope.
        for channel in range(3):
            slopes[0, channel] += (last if a else -last) * v * w * entry[channel]
            slopes[1, channel] += (last if b else -last) * u * w * entry[channel]
            slopes[2, channel] += (last if c else -last) * u * v * entry[channel]
    return total_red, total_green, total_blue
