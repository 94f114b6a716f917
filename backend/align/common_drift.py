"""The common drift of all warps, a gauge freedom of the alignment.

Frames can agree on an image that sits beside its true place on the surface. Each frame drifts on its own, so
the drift that is common to all views of a place is near zero: whatever common part the warps have is a shift
of the consensus along the surface, and is taken out of all of them.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

from ..fuse.observations import View
from ..parallel import iterate_parallel
from ..render.camera import Camera

GRID_CELLS = 64
"""Cells along the mesh's longest side in which the common drift is measured."""

PIXEL_STRIDE = 4
"""Only every such pixel is used: drift is smooth, and a cell holds many pixels."""

DRIFT_CHUNKS = 8
"""Groups of views that are summed side by side; a fixed number, so that rounding is the same on every
machine."""

MIN_WEIGHTED_COSINE = 0.2
"""Down to this cosine between surface and view, a view counts alike however many of its pixels a place
covers: it has one drift there, not one per pixel."""

SMOOTHING_CELLS = 1.0
"""Sigma in cells of the blur over the sums."""

DAMPING = 1e-2
"""Diagonal added to each cell's matrix, as a fraction of its trace: no view sees how far the surface shifts
along its normal, and the damping leaves that direction at 0."""


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

    def sum_views(some: slice) -> np.ndarray:
        # Per cell the upper triangle of J^T J and the vector J^T warp.
        sums = np.zeros((GRID_CELLS, GRID_CELLS, GRID_CELLS, 9))
        for view, camera, normal, warp in zip(
            views[some], cameras[some], normals[some], warps[some], strict=True
        ):
            weight = 1 / np.maximum(view.cosine[::PIXEL_STRIDE], MIN_WEIGHTED_COSINE)
            _add(
                view.points[::PIXEL_STRIDE],
                normal[::PIXEL_STRIDE],
                weight,
                camera.pack(),
                warp[::PIXEL_STRIDE],
                sums,
            )
        return sums

    sums = sum(
        iterate_parallel(sum_views, (slice(first, None, DRIFT_CHUNKS) for first in range(DRIFT_CHUNKS)))
    )
    sums = gaussian_filter(sums, (SMOOTHING_CELLS, SMOOTHING_CELLS, SMOOTHING_CELLS, 0))
    # One 3 x 3 system per cell that some view sees.
    matrix = sums[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
    trace = np.trace(matrix, axis1=1, axis2=2)
    seen = trace > 1e-6 * trace.max()
    matrix = matrix[seen] + DAMPING * trace[seen, None, None] * np.eye(3)
    shift = np.zeros((len(seen), 3), np.float32)
    shift[seen] = np.linalg.solve(matrix, sums.reshape(-1, 9)[seen, 6:, None])[..., 0]
    return shift.reshape(GRID_CELLS, GRID_CELLS, GRID_CELLS, 3)


def drift_in_view(shift: np.ndarray, view: View, camera: Camera, normals: np.ndarray) -> np.ndarray:
    """(N, 2) float32 pixels by which a view sees a shift of the surface."""
    return _project(view.points, normals, camera.pack(), shift)


@njit(cache=True, nogil=True)
def _jacobian(point, normal, camera, result):
    """Writes to ``result`` (2, 3) the pixels that a point moves by per unit along the surface; ``camera`` as
    :meth:`backend.render.camera.Camera.pack` makes it."""
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
    # Steps along the normal are left out: the surface shifts within itself.
    for row in range(2):
        across = result[row, 0] * normal[0] + result[row, 1] * normal[1] + result[row, 2] * normal[2]
        for axis in range(3):
            result[row, axis] -= across * normal[axis]


@njit(cache=True, nogil=True)
def _add(points, normals, weights, camera, warps, sums):
    """Adds a view's normal equations to the cells (R, R, R, 9) that its points lie in."""
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
    """The cell of a coordinate in -0.5..0.5; a rim of one cell is left around the mesh."""
    return min(max(int((coordinate + 0.5) * (GRID_CELLS - 2)) + 1, 0), GRID_CELLS - 1)


@njit(cache=True, nogil=True)
def _project(points, normals, camera, shift):
    """(N, 2) float32 pixels by which points move, their shift read trilinearly from (R, R, R, 3)."""
    result = np.empty((points.shape[0], 2), np.float32)
    jacobian = np.empty((2, 3))
    for k in range(points.shape[0]):
        _jacobian(points[k], normals[k], camera, jacobian)
        dx, dy = 0.0, 0.0
        x, y, z = (
            (points[k, 0] + 0.5) * (GRID_CELLS - 2) + 0.5,
            (points[k, 1] + 0.5) * (GRID_CELLS - 2) + 0.5,
            (points[k, 2] + 0.5) * (GRID_CELLS - 2) + 0.5,
        )
        i, j, m = min(int(x), GRID_CELLS - 2), min(int(y), GRID_CELLS - 2), min(int(z), GRID_CELLS - 2)
        for corner in range(8):
            a, b, c = corner % 2, corner // 2 % 2, corner // 4
            weight = (x - i if a else 1 - x + i) * (y - j if b else 1 - y + j) * (z - m if c else 1 - z + m)
            for axis in range(3):
                moved = weight * shift[i + a, j + b, m + c, axis]
                dx += jacobian[0, axis] * moved
                dy += jacobian[1, axis] * moved
        result[k] = dx, dy
    return result
