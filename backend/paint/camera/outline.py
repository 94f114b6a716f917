"""Outlines as signed distances: how deep pixels lie within one, how deep surface points do where a camera
sees them, and how exactly that determines the camera."""

import cv2
import numpy as np
from numba import njit

from ...image import resize_longest
from ...mesh.surface import Surface
from ...render.rasterize import GBuffer, positions, rasterize
from .view import View

MAX_OUTLINE_POINTS = 800
"""Points on an outline that take part in a fit; more do not make the view more exact."""

UNCERTAINTY_STEPS = np.array([1.0, 1.0, 1.0, 0.1, 0.01, 0.01, 0.01])
"""Steps of :meth:`View.parameters` that move an outline about equally far: degrees, a tenth of the distance,
percent of zoom and of the image's size."""

UNCERTAINTY_PRIOR = np.array([1e-5, 1e-5, 1e-5, 1e-3, 0.0, 0.0, 0.0])
"""Displacement of the outline, in object sizes, that each step is assumed to cause at least: it bounds the
covariance of parameters that an outline hardly shows (distance, all rotations of a ball)."""


def shrink_mask(alpha: np.ndarray, size: int) -> np.ndarray:
    """(H, W) bool: the object of an alpha (H, W) float32, at ``size`` pixels along the longer side."""
    return resize_longest(alpha, size) > 0.5


def outline_mask(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: a mask's pixels that touch its outside."""
    return mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def intersection_over_union(mask: np.ndarray, target: np.ndarray) -> float:
    """0..1, of two masks (H, W) bool."""
    return float((mask & target).sum() / max((mask | target).sum(), 1))


def signed_distance_field(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32: pixels from each pixel's centre to the outline of a mask (H, W) bool, positive
    inside."""
    padded = np.pad(mask, 1).astype(np.uint8)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def outline_points(buffer: GBuffer) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) float64 surface points on a rendered outline, and (N,) float32 their signed distances to it in
    pixels."""
    outline = outline_mask(buffer.mask)
    stride = max(1, int(outline.sum()) // MAX_OUTLINE_POINTS)
    points = positions(buffer)[outline][::stride].astype(np.float64)
    return points, signed_distance_field(buffer.mask)[outline][::stride]


def angular_uncertainty(surface: Surface, alpha: np.ndarray, view: View, size: int) -> float:
    """Degrees by which a fitted view may be turned from the true one, because its outline still does not
    match the image's.

    The square root of the covariance of least squares, of the three rotations together, but for errors that
    are correlated all along the outline, as they are if the mesh or the image has another shape: the outline
    of a camera that is off by this angle would be as far from the view's as the image's is. That distance is
    the median of both directions, so that a bar in front of the object does not count.

    Args:
        surface: the mesh.
        alpha: (H, W) float32, the object in the reference.
        view: the best view.
        size: pixels of the longer side at which it is measured.
    """
    target = shrink_mask(alpha, size)
    shape = target.shape[::-1]
    buffer = rasterize(surface.vertices, surface.faces, view.camera(*shape))
    if not buffer.mask.any():
        return 180.0
    # The remaining distance between the outlines, as a fraction of the object's size.
    own, wanted = signed_distance_field(buffer.mask), signed_distance_field(target)
    root = np.sqrt(target.sum())
    either = outline_mask(buffer.mask) | outline_mask(target)
    distance = np.median(np.abs(own - wanted)[either]) / root
    points, _ = outline_points(buffer)

    def depths(step: np.ndarray) -> np.ndarray:
        moved = View.from_parameters(view.parameters() + UNCERTAINTY_STEPS * step)
        result = np.empty(len(points))
        sample_depths(points, moved.camera(*shape).pack(), own, result)
        return result

    # Central differences (N, 7), then the covariance of the seven parameters, in units of their steps.
    steps = np.eye(len(UNCERTAINTY_STEPS)) / 2
    jacobian = np.column_stack([depths(step) - depths(-step) for step in steps]) / root
    covariance = np.linalg.inv(jacobian.T @ jacobian / len(points) + np.diag(UNCERTAINTY_PRIOR**2))
    # Near the pole a degree of azimuth turns the camera by less.
    rotations = covariance.diagonal()[:3] * (np.cos(np.radians(view.elevation)) ** 2, 1, 1)
    return float(min(distance * np.sqrt(rotations.sum()), 180.0))


@njit(cache=True, nogil=True)
def sample_depths(points, camera, distance, result):
    """How deep inside the outline points (N, 3) appear: a signed distance field (H, W), read bilinearly,
    minus the pixels by which they lie beyond the image.

    ``camera`` is :meth:`backend.render.camera.Camera.pack`; ``result`` is (N,) float64.
    """
    height, width = distance.shape
    for k in range(points.shape[0]):
        # Projection to pixels.
        dx, dy, dz = points[k, 0] - camera[9], points[k, 1] - camera[10], points[k, 2] - camera[11]
        scale = -camera[12] / (dx * camera[2] + dy * camera[5] + dz * camera[8])
        column = camera[13] + (dx * camera[0] + dy * camera[3] + dz * camera[6]) * scale
        row = camera[14] - (dx * camera[1] + dy * camera[4] + dz * camera[7]) * scale
        beyond = max(-column, column - width, -row, row - height, 0.0)
        # Bilinear interpolation between pixel centres, clamped to the image.
        x, y = min(max(column - 0.5, 0.0), width - 1.0), min(max(row - 0.5, 0.0), height - 1.0)
        left, top = min(int(x), width - 2), min(int(y), height - 2)
        x, y = x - left, y - top
        upper = distance[top, left] * (1 - x) + distance[top, left + 1] * x
        lower = distance[top + 1, left] * (1 - x) + distance[top + 1, left + 1] * x
        result[k] = upper * (1 - y) + lower * y - beyond
