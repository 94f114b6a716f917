"""Blender's AgX view transform, through which the colours of the published training films went, and back
(specs: orbitpainter b.5).

``agx.png`` holds what Blender makes of a grid of sRGB colours; ``tests/blender/test_agx.py`` compares it with
Blender's own and can make it anew.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numba import njit
from scipy.spatial import cKDTree

SIDE = 33
"""Colours of the grid along each channel: red, green and blue, from 0 to 1 sRGB-encoded."""

TABLE = Path(__file__).with_name("agx.png")
"""(SIDE^2, SIDE, 3) 16-bit: row ``SIDE * red + green``, column ``blue``."""

_COARSE = 17
_STEPS = 12


def encode(color: np.ndarray) -> np.ndarray:
    """(..., 3) float32 0..1 as Blender shows base colours (..., 3) float32 0..1 sRGB; white becomes 0.77."""
    return _looked_up(_table(), color)


def decode(color: np.ndarray) -> np.ndarray:
    """(..., 3) float32 0..1 sRGB: the base colour that Blender shows as ``color``; of colours that it never
    shows, one near."""
    result = _looked_up(_start(), color)
    _refine(_table(), np.ascontiguousarray(color, np.float32).reshape(-1, 3), result.reshape(-1, 3))
    return result


@cache
def _table() -> np.ndarray:
    """(SIDE, SIDE, SIDE, 3) float32."""
    image = cv2.imread(str(TABLE), cv2.IMREAD_UNCHANGED)[..., ::-1]
    return image.reshape(SIDE, SIDE, SIDE, 3).astype(np.float32) / 65535


@cache
def _start() -> np.ndarray:
    """(_COARSE, _COARSE, _COARSE, 3) float32: on a grid of shown colours, the base colour of the table that
    comes closest."""
    _, nearest = cKDTree(_table().reshape(-1, 3)).query(_grid(_COARSE))
    return _grid(SIDE)[nearest].reshape(_COARSE, _COARSE, _COARSE, 3).astype(np.float32)


def _grid(side: int) -> np.ndarray:
    return np.stack(np.meshgrid(*3 * [np.linspace(0, 1, side)], indexing="ij"), axis=-1).reshape(-1, 3)


def _looked_up(table: np.ndarray, color: np.ndarray) -> np.ndarray:
    result = np.empty(color.shape, np.float32)
    _interpolate(table, np.ascontiguousarray(color, np.float32).reshape(-1, 3), result.reshape(-1, 3))
    return result


@njit(cache=True, nogil=True)
def _interpolate(table, color, result):
    slopes = np.empty((3, 3))
    for k in range(color.shape[0]):
        result[k] = _shown(table, color[k], slopes)


@njit(cache=True, nogil=True)
def _refine(table, wanted, color):
    """Newton's steps towards the colours (N, 3) that the table shows as ``wanted``, each as long as it
    helps."""
    slopes, trial_slopes, trial, step = np.empty((3, 3)), np.empty((3, 3)), np.empty(3), np.empty(3)
    for k in range(color.shape[0]):
        missing = wanted[k] - np.array(_shown(table, color[k], slopes))
        length = 1.0
        for _ in range(_STEPS):
            error, determinant = (missing * missing).sum(), _determinant(slopes[0], slopes[1], slopes[2])
            if error < 1e-9 or abs(determinant) < 1e-9:
                break
            step[0] = _determinant(missing, slopes[1], slopes[2]) / determinant
            step[1] = _determinant(slopes[0], missing, slopes[2]) / determinant
            step[2] = _determinant(slopes[0], slopes[1], missing) / determinant
            for channel in range(3):
                trial[channel] = min(max(color[k, channel] + length * step[channel], 0), 1)
            left = wanted[k] - np.array(_shown(table, trial, trial_slopes))
            if (left * left).sum() < error:
                color[k], missing, length = trial, left, 1.0
                slopes[:] = trial_slopes
            else:
                length /= 4


@njit(cache=True, nogil=True)
def _determinant(a, b, c):
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )


@njit(cache=True, nogil=True)
def _shown(table, color, slopes):
    """The table's colour, linear between its grid; ``slopes`` (3, 3) takes how it changes with red, green and
    blue."""
    last = table.shape[0] - 1
    red, green, blue = (
        min(max(color[0], 0), 1) * last,
        min(max(color[1], 0), 1) * last,
        min(max(color[2], 0), 1) * last,
    )
    i, j, m = min(int(red), last - 1), min(int(green), last - 1), min(int(blue), last - 1)
    red, green, blue = red - i, green - j, blue - m
    total_red, total_green, total_blue = 0.0, 0.0, 0.0
    slopes[:] = 0
    for corner in range(8):
        a, b, c = corner & 1, corner >> 1 & 1, corner >> 2
        u, v, w = (red if a else 1 - red), (green if b else 1 - green), (blue if c else 1 - blue)
        entry = table[i + a, j + b, m + c]
        share = u * v * w
        total_red, total_green, total_blue = (
            total_red + share * entry[0],
            total_green + share * entry[1],
            total_blue + share * entry[2],
        )
        for channel in range(3):
            slopes[0, channel] += (last if a else -last) * v * w * entry[channel]
            slopes[1, channel] += (last if b else -last) * u * w * entry[channel]
            slopes[2, channel] += (last if c else -last) * u * v * entry[channel]
    return total_red, total_green, total_blue
