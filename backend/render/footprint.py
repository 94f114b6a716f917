"""The footprint of a texel in a frame: not a point but the patch of pixels that the texel covers, narrow
where the surface turns away.

Anisotropic filtering as in AssetGen 7.4: the Jacobian of texel to pixel, a mipmap, and up to 8 taps along the
footprint's longer axis.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..render.camera import Camera

MAX_TAPS = 8
"""Reads along the longer axis of a footprint at most."""


@dataclass(frozen=True)
class Mipmap:
    """A frame and its halves: a mip chain.

    Attributes:
        pixels: (P, C) float32, level after level, row by row.
        levels: (L, 3) int64: first pixel, height and width of each level, the frame itself first.
    """

    pixels: np.ndarray
    levels: np.ndarray


def build_mipmap(frame: np.ndarray, mask: np.ndarray) -> Mipmap:
    """The mip chain of a frame down to one pixel. The background is in no level: there, levels repeat the
    foreground that is near.

    Args:
        frame: (H, W, C) uint8 or float32.
        mask: (H, W) bool, the foreground.
    """
    shapes = [mask.shape]
    while max(shapes[-1]) > 1:
        shapes.append(tuple((length + 1) // 2 for length in shapes[-1]))
    counts = np.prod(shapes, axis=1)
    levels = np.column_stack([np.cumsum(counts) - counts, shapes]).astype(np.int64)
    pixels = np.zeros((counts.sum(), frame.shape[2]), np.float32)
    weights = np.zeros(counts.sum(), np.float32)
    pixels[: counts[0]] = frame.reshape(-1, frame.shape[2])
    weights[: counts[0]] = mask.ravel()
    _fill_levels(pixels, weights, levels)
    return Mipmap(pixels, levels)


@njit(cache=True, nogil=True)
def _fill_levels(pixels, weights, levels):
    """Fills all levels but the first, and the background of all: push-pull (Gortler et al. 1996)."""
    # Down: each pixel is the weighted mean of 2 x 2 of the level before.
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
    # Up again: a pixel without weight repeats the level above it.
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


def texel_tangents(vertices: np.ndarray, faces: np.ndarray, corner_uvs: np.ndarray, size: int) -> np.ndarray:
    """(F, 3, 2) float32: the steps in space of one texel to the right and of one downwards; 0 for triangles
    without area in UV."""
    corners = vertices[faces].astype(np.float64)
    texels = corner_uvs.astype(np.float64) * (size, -size)
    across, along = texels[:, 1] - texels[:, 0], texels[:, 2] - texels[:, 0]
    area = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
    # The inverse of the triangle's edges in texels, times its edges in space.
    inverse = np.stack(
        [np.stack([along[:, 1], -along[:, 0]], axis=1), np.stack([-across[:, 1], across[:, 0]], axis=1)],
        axis=1,
    )
    inverse /= np.where(np.abs(area) > 1e-12, area, np.inf)[:, None, None]
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=2)
    return (edges @ inverse).astype(np.float32)


def project_texels(
    camera: Camera, positions: np.ndarray, tangents: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where texels lie in a view, and how large they are there.

    Args:
        camera: the view.
        positions: (N, 3) float32, in front of the camera.
        tangents: (F, 3, 2) float32, see :func:`texel_tangents`.
        faces: (N,) int32 face of each texel.

    Returns:
        ``pixels`` (N, 2) float32 column and row, and ``jacobians`` (N, 2, 2) float32: a column per texel
        step, a row per pixel axis.
    """
    pixels = np.empty((len(positions), 2), np.float32)
    jacobians = np.empty((len(positions), 2, 2), np.float32)
    _project_texels(camera.pack(), positions, tangents, faces, pixels, jacobians)
    return pixels, jacobians


@njit(cache=True, nogil=True)
def _project_texels(camera, positions, tangents, faces, pixels, jacobians):
    """Writes pixels and Jacobians; ``camera`` as :meth:`.camera.Camera.pack` makes it."""
    orthographic = camera[17] > 0
    for k in range(positions.shape[0]):
        x, y, z = 0.0, 0.0, 0.0
        for axis in range(3):
            offset = positions[k, axis] - camera[9 + axis]
            x += offset * camera[3 * axis]
            y += offset * camera[3 * axis + 1]
            z -= offset * camera[3 * axis + 2]
        # The position, then both steps by the derivative of the projection.
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


def sample_footprints(mips: Mipmap, pixels: np.ndarray, jacobians: np.ndarray) -> np.ndarray:
    """(N, C) float32: the means of a frame over the texels' footprints.

    Args:
        mips: the frame.
        pixels: (N, 2) float32 or float64 column and row of the footprints' centres; pixel centres lie at
            +0.5, edges are repeated.
        jacobians: (N, 2, 2) float32, see :func:`project_texels`.
    """
    result = np.zeros((len(pixels), mips.pixels.shape[1]), np.float32)
    _sample_footprints(mips.pixels, mips.levels, pixels, jacobians, result)
    return result


@njit(cache=True, nogil=True, fastmath=True)
def _sample_footprints(values, levels, pixels, jacobians, result):
    """Adds to ``result`` (N, C), 0 so far."""
    top_level = levels.shape[0] - 1
    for k in range(pixels.shape[0]):
        major, minor, axis_x, axis_y = _ellipse_axes(
            jacobians[k, 0, 0], jacobians[k, 0, 1], jacobians[k, 1, 0], jacobians[k, 1, 1]
        )
        # A footprint within a pixel is one bilinear read.
        if major <= 1:
            _add_bilinear(values, levels, 0, pixels[k, 0], pixels[k, 1], np.float32(1), result, k)
            continue
        # Taps along the longer axis, on the levels whose pixels are about as large as each tap's part of it.
        taps = min(int(np.ceil(major / max(minor, 1.0) - 1e-3)), MAX_TAPS)
        level = min(max(np.log2(major / taps), 0.0), float(top_level))
        fine = int(level)
        coarse_weight = np.float32(level - fine) / np.float32(taps)
        fine_weight = np.float32(1 / taps) - coarse_weight
        for tap in range(taps):
            along = (tap + 0.5) / taps - 0.5
            x = (pixels[k, 0] + along * axis_x) / (1 << fine)
            y = (pixels[k, 1] + along * axis_y) / (1 << fine)
            _add_bilinear(values, levels, fine, x, y, fine_weight, result, k)
            if coarse_weight > 0:
                _add_bilinear(values, levels, fine + 1, x / 2, y / 2, coarse_weight, result, k)


@njit(cache=True, nogil=True, inline="always")
def _ellipse_axes(a, b, c, d):
    """Lengths of the axes of the ellipse that the unit circle becomes under [[a, b], [c, d]], and its longer
    axis."""
    xx, xy, yy = a * a + b * b, a * c + b * d, c * c + d * d
    middle, spread = 0.5 * (xx + yy), np.sqrt(0.25 * (xx - yy) ** 2 + xy * xy)
    major, minor = np.sqrt(middle + spread), np.sqrt(max(middle - spread, 0.0))
    # There are two ways to write the eigenvector: this is the one that does not cancel.
    x, y = (0.5 * (xx - yy) + spread, xy) if xx > yy else (xy, 0.5 * (yy - xx) + spread)
    scale = major / max(np.sqrt(x * x + y * y), 1e-30)
    return major, minor, x * scale, y * scale


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _add_bilinear(values, levels, level, x, y, weight, result, k):
    """Adds a weighted bilinear read of one level, at its own pixels (x, y), to row ``k`` of the result."""
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
