"""The texture whose renderings match the frames: weighted linear least squares, one row per pixel.

A pixel is the mean of four bilinear reads spread over its area, so that the solution also undoes the frames'
own sampling: measured 7 dB above the best blend where frames agree (specs: baking 5 has 5 dB with one read).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numba import njit

from .observations import View

CHUNKS = 4
"""Sums are built in this many parts, whatever the machine, so that the same job gives the same bits
everywhere."""


RINGING = 0.1
"""How far beyond the range of its neighbours a texel may go, as a share of that range."""


def blend(
    views: Sequence[View], weights: Sequence[np.ndarray], colors: Sequence[np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of what the pixels around each texel show.

    Args:
        views: where pixels read the atlas.
        weights: per view (N,) float32.
        colors: per view (N, C) float32.
        size: of the atlas.

    Returns:
        ``(S, S, C)`` float32, 0 where nothing was seen, and ``(S, S)`` float32 the total weight.
    """
    channels = colors[0].shape[1]

    def add(view: int, total: np.ndarray) -> None:
        _scatter(
            views[view].places,
            weights[view],
            np.column_stack([colors[view], np.ones(len(views[view]), np.float32)]),
            total,
        )

    total = _sum(len(views), add, (size, size, channels + 1))
    weight = total[..., channels]
    return total[..., :channels] / np.maximum(weight, np.float32(1e-12))[..., None], weight


def render_back(view: View, texture: np.ndarray) -> np.ndarray:
    """(N, C) float32: what the middles of the view's pixels read of a texture (S, S, C) float32."""
    result = np.empty((len(view), texture.shape[2]), np.float32)
    _gather(view.places, texture, result)
    return result


def fit(
    views: Sequence[View],
    weights: Sequence[np.ndarray],
    colors: Sequence[np.ndarray],
    start: np.ndarray,
    steps: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """(S, S, 3) float32 texture that minimises ``sum w (read - color)^2``, by preconditioned conjugate
    gradients.

    Args:
        views: where pixels read the atlas.
        weights: per view (N,) float32.
        colors: per view (N, 3) float32, what each pixel should read.
        start: (S, S, 3) float32.
        steps: few, because late ones fit noise.
        progress: told the fraction done.
    """

    def residual(view: int, total: np.ndarray) -> None:
        _read_and_scatter(
            views[view].places, views[view].spread, weights[view], colors[view], start, np.float32(-1), total
        )

    def normal(view: int, total: np.ndarray) -> None:
        _read_and_scatter(
            views[view].places,
            views[view].spread,
            weights[view],
            colors[view],
            direction,
            np.float32(0),
            total,
        )

    result = start.copy()
    remainder = _sum(len(views), residual, start.shape)
    np.negative(remainder, out=remainder)
    scale = _scale(views, weights, len(start))
    direction = scale * remainder
    square = _product(remainder, direction)
    for step in range(steps):
        if square == 0:
            break
        image = _sum(len(views), normal, start.shape)
        length = np.float32(square / _product(direction, image))
        result += length * direction
        remainder -= length * image
        np.multiply(scale, remainder, out=image)
        before, square = square, _product(remainder, image)
        direction *= np.float32(square / before)
        direction += image
        progress((step + 1) / steps)
    return _held(result, start)


def _held(result: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The result within the range of the start's 3 x 3 neighbours and a little beyond: hard edges in frames
    must not ring."""
    square = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(start, square), cv2.dilate(start, square)
    margin = np.float32(RINGING) * (high - low) + 4
    return np.clip(result, low - margin, high + margin)


def _scale(views: Sequence[View], weights: Sequence[np.ndarray], size: int) -> np.ndarray:
    """(S, S, 1) float32 preconditioner: texels that many pixels read move as far as texels that few read,
    very few excepted (noise)."""
    ones = [np.ones((len(view), 1), np.float32) for view in views]
    total = blend(views, weights, ones, size)[1][..., None]
    return 1 / (total + np.median(total[total > 0])) if (total > 0).any() else total


def _product(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b))


def _sum(views: int, add: Callable[[int, np.ndarray], None], shape: tuple[int, ...]) -> np.ndarray:
    def part(chunk: int) -> np.ndarray:
        total = np.zeros(shape, np.float32)
        for view in range(chunk, views, CHUNKS):
            add(view, total)
        return total

    with ThreadPoolExecutor() as pool:
        parts = pool.map(part, range(min(CHUNKS, views)))
        total = next(parts)
        for other in parts:
            total += other
    return total


@njit(cache=True, nogil=True, inline="always")
def _texel(right, down, size):
    """The upper left of the four texels around a place, and how far the place lies beyond it."""
    scale, half, last = np.float32(size), np.float32(0.5), np.float32(size - 1)
    x = min(max(right * scale - half, np.float32(0)), last)
    y = min(max(down * scale - half, np.float32(0)), last)
    column, row = min(np.int32(x), size - 2), min(np.int32(y), size - 2)
    return column, row, x - np.float32(column), y - np.float32(row)


@njit(cache=True, nogil=True)
def _gather(places, texture, result):
    size, channels = texture.shape[0], texture.shape[2]
    for k in range(places.shape[0]):
        column, row, fx, fy = _texel(places[k, 0], places[k, 1], size)
        for c in range(channels):
            top = texture[row, column, c] * (1 - fx) + texture[row, column + 1, c] * fx
            bottom = texture[row + 1, column, c] * (1 - fx) + texture[row + 1, column + 1, c] * fx
            result[k, c] = top * (1 - fy) + bottom * fy


@njit(cache=True, nogil=True)
def _scatter(places, weights, values, total):
    size, channels = total.shape[0], total.shape[2]
    for k in range(places.shape[0]):
        column, row, fx, fy = _texel(places[k, 0], places[k, 1], size)
        for c in range(channels):
            value = weights[k] * values[k, c]
            total[row, column, c] += value * (1 - fx) * (1 - fy)
            total[row, column + 1, c] += value * fx * (1 - fy)
            total[row + 1, column, c] += value * (1 - fx) * fy
            total[row + 1, column + 1, c] += value * fx * fy


@njit(cache=True, nogil=True, fastmath=True)
def _read_and_scatter(places, spread, weights, colors, texture, sign, total):
    """Adds ``w (read + sign * color)`` to the texels that were read, as much as each was."""
    size, quarter = texture.shape[0], np.float32(0.25)
    column, row = np.empty(4, np.int32), np.empty(4, np.int32)
    share, value = np.empty((4, 4), np.float32), np.empty(3, np.float32)
    for k in range(places.shape[0]):
        if weights[k] <= 0:
            continue
        value[:] = 0
        for tap in range(4):
            x, y = np.float32((tap % 2) * 0.5 - 0.25), np.float32((tap // 2) * 0.5 - 0.25)
            j, i, u, v = _texel(
                places[k, 0] + spread[k, 0, 0] * x + spread[k, 0, 1] * y,
                places[k, 1] + spread[k, 1, 0] * x + spread[k, 1, 1] * y,
                size,
            )
            a, b, c, d = (1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v
            column[tap], row[tap] = j, i
            share[tap, 0], share[tap, 1], share[tap, 2], share[tap, 3] = a, b, c, d
            for channel in range(3):
                value[channel] += (
                    a * texture[i, j, channel]
                    + b * texture[i, j + 1, channel]
                    + c * texture[i + 1, j, channel]
                    + d * texture[i + 1, j + 1, channel]
                )
        for channel in range(3):
            value[channel] = weights[k] * quarter * (quarter * value[channel] + sign * colors[k, channel])
        for tap in range(4):
            i, j = row[tap], column[tap]
            for channel in range(3):
                total[i, j, channel] += share[tap, 0] * value[channel]
                total[i, j + 1, channel] += share[tap, 1] * value[channel]
                total[i + 1, j, channel] += share[tap, 2] * value[channel]
                total[i + 1, j + 1, channel] += share[tap, 3] * value[channel]
