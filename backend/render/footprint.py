"""What a texel sees of a frame: not a point but the patch of pixels that the texel covers, narrow where the
surface turns away.

AssetGen 7.4: the Jacobian of texel to pixel, a mip chain, and up to 8 taps along the patch's longer axis.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..render.camera import Camera

MOST_TAPS = 8


@dataclass(frozen=True)
class Pyramid:
    """A frame and its halves.

    Attributes:
        pixels: (P, C) float32, level after level, row by row.
        levels: (L, 3) int64: first pixel, height and width of each level, the frame itself first.
    """

    pixels: np.ndarray
    levels: np.ndarray


def pyramid(frame: np.ndarray, mask: np.ndarray) -> Pyramid:
    """The mip chain of a frame down to one pixel. No level holds anything of the background: it repeats near
    foreground there.

    Args:
        frame: (H, W, C) uint8 or float32.
        mask: (H, W) bool, the foreground.
    """
    shapes = [mask.shape]
    while max(shapes[-1]) > 1:
        shapes.append(tuple((side + 1) // 2 for side in shapes[-1]))
    counts = np.prod(shapes, axis=1)
    levels = np.column_stack([np.cumsum(counts) - counts, shapes]).astype(np.int64)
    pixels = np.zeros((counts.sum(), frame.shape[2]), np.float32)
    weights = np.zeros(counts.sum(), np.float32)
    pixels[: counts[0]] = frame.reshape(-1, frame.shape[2])
    weights[: counts[0]] = mask.ravel()
    _fill_levels(pixels, weights, levels)
    return Pyramid(pixels, levels)


@njit(cache=True, nogil=True)
def _fill_levels(pixels, weights, levels):
    """Down: each level is the weighted mean of 2 x 2 of the one before. Up again: what has no weight repeats
    the level above it."""
    channels = pixels.shape[1]
    for level in range(1, levels.shape[0]):
        below, below_height, below_width = levels[level - 1]
        start, height, width = levels[level]
        for row in range(height):
            for column in range(width):
                target = start + row * width + column
                for y in (2 * row, min(2 * row + 1, below_height - 1)):
                    for x in (2 * column, min(2 * column + 1, below_width - 1)):
                        source = below + y * below_width + x
                        weights[target] += weights[source]
                        for c in range(channels):
                            pixels[target, c] += weights[source] * pixels[source, c]
                if weights[target] > 0:
                    for c in range(channels):
                        pixels[target, c] /= weights[target]
                    weights[target] *= np.float32(0.25)
    for level in range(levels.shape[0] - 2, -1, -1):
        start, height, width = levels[level]
        above, _, above_width = levels[level + 1]
        for row in range(height):
            for column in range(width):
                target = start + row * width + column
                if weights[target] == 0:
                    source = above + row // 2 * above_width + column // 2
                    for c in range(channels):
                        pixels[target, c] = pixels[source, c]


def tangents(vertices: np.ndarray, faces: np.ndarray, corner_uvs: np.ndarray, size: int) -> np.ndarray:
    """(F, 3, 2) float32: how far a texel step to the right and one downwards move in space; 0 for triangles
    without area in UV."""
    corners = vertices[faces].astype(np.float64)
    texels = corner_uvs.astype(np.float64) * (size, -size)
    across, along = texels[:, 1] - texels[:, 0], texels[:, 2] - texels[:, 0]
    area = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
    inverse = np.stack(
        [np.stack([along[:, 1], -along[:, 0]], axis=1), np.stack([-across[:, 1], across[:, 0]], axis=1)],
        axis=1,
    )
    inverse /= np.where(np.abs(area) > 1e-12, area, np.inf)[:, None, None]
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=2)
    return (edges @ inverse).astype(np.float32)


def project(
    camera: Camera, positions: np.ndarray, tangents: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where texels land in a view, and how large.

    Args:
        camera: the view.
        positions: (N, 3) float32, in front of the camera.
        tangents: (F, 3, 2) float32, see :func:`tangents`.
        faces: (N,) int32 face of each texel.

    Returns:
        ``pixels`` (N, 2) float32 column and row, and ``jacobians`` (N, 2, 2) float32: a column per texel
        step, a row per pixel axis.
    """
    pixels = np.empty((len(positions), 2), np.float32)
    jacobians = np.empty((len(positions), 2, 2), np.float32)
    _project(camera.pack(), positions, tangents, faces, pixels, jacobians)
    return pixels, jacobians


@njit(cache=True, nogil=True)
def _project(camera, positions, tangents, faces, pixels, jacobians):
    orthographic = camera[17] > 0
    for k in range(positions.shape[0]):
        x, y, z = 0.0, 0.0, 0.0
        for axis in range(3):
            offset = positions[k, axis] - camera[9 + axis]
            x += offset * camera[3 * axis]
            y += offset * camera[3 * axis + 1]
            z -= offset * camera[3 * axis + 2]
        scale = camera[12] / (1.0 if orthographic else z)
        pixels[k, 0] = x * scale + camera[13]
        pixels[k, 1] = camera[14] - y * scale
        for step in range(2):
            dx, dy, dz = 0.0, 0.0, 0.0
            for axis in range(3):
                moved = tangents[faces[k], axis, step]
                dx += moved * camera[3 * axis]
                dy += moved * camera[3 * axis + 1]
                dz -= moved * camera[3 * axis + 2]
            if not orthographic:
                dx -= x / z * dz
                dy -= y / z * dz
            jacobians[k, 0, step] = dx * scale
            jacobians[k, 1, step] = -dy * scale


def sample(mips: Pyramid, pixels: np.ndarray, jacobians: np.ndarray) -> np.ndarray:
    """(N, C) float32: the means of a frame over the texels' patches.

    Args:
        mips: the frame.
        pixels: (N, 2) float32 or float64 column and row of the patches' centres; pixel centres lie at +0.5,
            edges are repeated.
        jacobians: (N, 2, 2) float32, see :func:`project`.
    """
    result = np.zeros((len(pixels), mips.pixels.shape[1]), np.float32)
    _sample(mips.pixels, mips.levels, pixels, jacobians, result)
    return result


@njit(cache=True, nogil=True, fastmath=True)
def _sample(values, levels, pixels, jacobians, result):
    top_level = levels.shape[0] - 1
    for k in range(pixels.shape[0]):
        major, minor, axis_x, axis_y = _axes(
            jacobians[k, 0, 0], jacobians[k, 0, 1], jacobians[k, 1, 0], jacobians[k, 1, 1]
        )
        if major <= 1:
            _add_bilinear(values, levels, 0, pixels[k, 0], pixels[k, 1], np.float32(1), result, k)
            continue
        taps = min(int(np.ceil(major / max(minor, 1.0) - 1e-3)), MOST_TAPS)
        level = min(max(np.log2(major / taps), 0.0), float(top_level))
        fine = int(level)
        between = np.float32(level - fine) / np.float32(taps)
        share = np.float32(1 / taps) - between
        for tap in range(taps):
            along = (tap + 0.5) / taps - 0.5
            x, y = (
                (pixels[k, 0] + along * axis_x) / (1 << fine),
                (pixels[k, 1] + along * axis_y) / (1 << fine),
            )
            _add_bilinear(values, levels, fine, x, y, share, result, k)
            if between > 0:
                _add_bilinear(values, levels, fine + 1, x / 2, y / 2, between, result, k)


@njit(cache=True, nogil=True, inline="always")
def _axes(a, b, c, d):
    """Lengths of the axes of the ellipse that the unit circle becomes under [[a, b], [c, d]], and its longer
    axis."""
    xx, xy, yy = a * a + b * b, a * c + b * d, c * c + d * d
    middle, spread = 0.5 * (xx + yy), np.sqrt(0.25 * (xx - yy) ** 2 + xy * xy)
    major, minor = np.sqrt(middle + spread), np.sqrt(max(middle - spread, 0.0))
    # Of the two ways to write the eigenvector, the one that does not cancel.
    x, y = (0.5 * (xx - yy) + spread, xy) if xx > yy else (xy, 0.5 * (yy - xx) + spread)
    scale = major / max(np.sqrt(x * x + y * y), 1e-30)
    return major, minor, x * scale, y * scale


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _add_bilinear(values, levels, level, x, y, weight, result, k):
    start, height, width = levels[level, 0], levels[level, 1], levels[level, 2]
    x = min(max(x - 0.5, 0.0), width - 1.0)
    y = min(max(y - 0.5, 0.0), height - 1.0)
    column, row = int(x), int(y)
    right, down = min(column + 1, width - 1) - column, (min(row + 1, height - 1) - row) * width
    fx, fy = np.float32(x - column), np.float32(y - row)
    here = start + row * width + column
    a, b = weight * (1 - fx) * (1 - fy), weight * fx * (1 - fy)
    c, d = weight * (1 - fx) * fy, weight * fx * fy
    for channel in range(values.shape[1]):
        result[k, channel] += (
            a * values[here, channel]
            + b * values[here + right, channel]
            + c * values[here + down, channel]
            + d * values[here + down + right, channel]
        )
