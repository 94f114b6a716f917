"""Where the surface's consensus really lies.

Frames can agree on a picture that sits beside its place. Each frame drifts on its own, so the drift that is
common to all views of a place is near zero: whatever common part the warps have is a shift of the consensus
along the surface, and is taken out of all of them.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

from ..fuse.observations import View
from ..render.camera import Camera

CELLS = 64
"""Cells along the mesh's longest side in which the common drift is measured."""

EVERY = 4
"""How many pixels one stands for: drift is smooth, and a cell holds many."""

SHARES = 8
"""Of the views, each summed up by itself."""

FLATTEST = 0.2
"""A view counts alike however many pixels a place covers in it, down to this cosine: its drift there is one,
not one per pixel."""


def common_drift(
    views: Sequence[View],
    cameras: Sequence[Camera],
    normals: Sequence[np.ndarray],
    warps: Sequence[np.ndarray],
) -> np.ndarray:
    """The shift of the surface that explains most of the warps: least squares over all views, per cell of
    space.

    Args:
        views: what the views see.
        cameras: their cameras.
        normals: per view (N, 3) float32 of the surface under its pixels; a shift goes along the surface.
        warps: per view (N, 2) float32 pixels to the right and downwards.

    Returns:
        (CELLS, CELLS, CELLS, 3) float32, to be read by :func:`drift_in_view`.
    """

    def summed(some: slice) -> np.ndarray:
        sums = np.zeros((CELLS, CELLS, CELLS, 9))
        for view, camera, normal, warp in zip(
            views[some], cameras[some], normals[some], warps[some], strict=True
        ):
            weight = 1 / np.maximum(view.cosine[::EVERY], FLATTEST)
            _add(view.points[::EVERY], normal[::EVERY], weight, camera.pack(), warp[::EVERY], sums)
        return sums

    # A fixed number of shares, so that rounding is the same on every machine.
    with ThreadPoolExecutor() as pool:
        sums = sum(pool.map(summed, (slice(first, None, SHARES) for first in range(SHARES))))
    sums = gaussian_filter(sums, (1, 1, 1, 0))
    matrix = sums[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
    trace = np.trace(matrix, axis1=1, axis2=2)
    seen = trace > 1e-6 * trace.max()
    # A view never tells how the surface shifts along its normal: the small diagonal leaves that out.
    matrix = matrix[seen] + 1e-2 * trace[seen, None, None] * np.eye(3)
    shift = np.zeros((len(seen), 3), np.float32)
    shift[seen] = np.linalg.solve(matrix, sums.reshape(-1, 9)[seen, 6:, None])[..., 0]
    return shift.reshape(CELLS, CELLS, CELLS, 3)


def drift_in_view(shift: np.ndarray, view: View, camera: Camera, normals: np.ndarray) -> np.ndarray:
    """(N, 2) float32 pixels by which a view sees a shift of the surface."""
    return _project(view.points, normals, camera.pack(), shift)


@njit(cache=True, nogil=True)
def _jacobian(point, normal, camera, result):
    """(2, 3) pixels per step of a point along the surface."""
    x, y, z = 0.0, 0.0, 0.0
    for axis in range(3):
        offset = point[axis] - camera[9 + axis]
        x += offset * camera[3 * axis]
        y += offset * camera[3 * axis + 1]
        z -= offset * camera[3 * axis + 2]
    parallel = camera[17] > 0
    scale = camera[12] / (1.0 if parallel else z)
    for axis in range(3):
        lean = 0.0 if parallel else camera[3 * axis + 2] / z
        result[0, axis] = scale * (camera[3 * axis] + x * lean)
        result[1, axis] = -scale * (camera[3 * axis + 1] + y * lean)
    for row in range(2):
        across = result[row, 0] * normal[0] + result[row, 1] * normal[1] + result[row, 2] * normal[2]
        for axis in range(3):
            result[row, axis] -= across * normal[axis]


@njit(cache=True, nogil=True)
def _add(points, normals, weights, camera, warps, sums):
    jacobian = np.empty((2, 3))
    for k in range(points.shape[0]):
        _jacobian(points[k], normals[k], camera, jacobian)
        cell = sums[_cell(points[k, 0]), _cell(points[k, 1]), _cell(points[k, 2])]
        entry = 0
        for i in range(3):
            for j in range(i, 3):
                cell[entry] += weights[k] * (
                    jacobian[0, i] * jacobian[0, j] + jacobian[1, i] * jacobian[1, j]
                )
                entry += 1
            cell[6 + i] += weights[k] * (jacobian[0, i] * warps[k, 0] + jacobian[1, i] * warps[k, 1])


@njit(cache=True, nogil=True)
def _cell(coordinate):
    return min(max(int((coordinate + 0.5) * (CELLS - 2)) + 1, 0), CELLS - 1)


@njit(cache=True, nogil=True)
def _project(points, normals, camera, shift):
    result = np.empty((points.shape[0], 2), np.float32)
    jacobian = np.empty((2, 3))
    for k in range(points.shape[0]):
        _jacobian(points[k], normals[k], camera, jacobian)
        dx, dy = 0.0, 0.0
        x, y, z = (
            (points[k, 0] + 0.5) * (CELLS - 2) + 0.5,
            (points[k, 1] + 0.5) * (CELLS - 2) + 0.5,
            (points[k, 2] + 0.5) * (CELLS - 2) + 0.5,
        )
        i, j, m = min(int(x), CELLS - 2), min(int(y), CELLS - 2), min(int(z), CELLS - 2)
        for corner in range(8):
            a, b, c = corner % 2, corner // 2 % 2, corner // 4
            weight = (x - i if a else 1 - x + i) * (y - j if b else 1 - y + j) * (z - m if c else 1 - z + m)
            for axis in range(3):
                moved = weight * shift[i + a, j + b, m + c, axis]
                dx += jacobian[0, axis] * moved
                dy += jacobian[1, axis] * moved
        result[k] = dx, dy
    return result
