"""Outlines as distances: how far pixels lie within one, how far surface points do where a camera sees them,
and how exactly that tells the camera."""

import cv2
import numpy as np
from numba import njit

from ....mesh.surface import Surface
from ....render.rasterize import GBuffer, positions, rasterize
from .ranking import View

RIM_POINTS = 800
"""Points on an outline that are pulled; more do not make the view more exact."""

UNITS = np.array([1.0, 1.0, 1.0, 0.1, 0.01, 0.01, 0.01])
"""Steps of a view's numbers that move an outline about equally far: degrees, a tenth of the distance,
percent."""

HELD = np.array([1e-5, 1e-5, 1e-5, 1e-3, 0.0, 0.0, 0.0])
"""What a step costs by itself, in parts of the object's size: what hardly shows (distance, the turns of a
ball) is not all unknown."""


def shrunk(alpha: np.ndarray, size: int) -> np.ndarray:
    """(H, W) bool: the object of a picture whose longer side becomes ``size`` pixels."""
    height, width = alpha.shape
    scale = size / max(height, width)
    return (
        cv2.resize(
            alpha, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        > 0.5
    )


def rim(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: a mask's pixels that touch its outside."""
    return mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def overlap(mask: np.ndarray, target: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((mask & target).sum() / max((mask | target).sum(), 1))


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32 pixels to the outline, positive inside."""
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[
        1:-1, 1:-1
    ]
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def rim_points(buffer: GBuffer) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) float64 surface points on a rendered outline, and (N,) float32 pixels by which each lies within
    it."""
    edge = rim(buffer.mask)
    every = max(1, int(edge.sum()) // RIM_POINTS)
    return positions(buffer)[edge][::every].astype(np.float64), signed_distance(buffer.mask)[edge][::every]


def looseness(surface: Surface, alpha: np.ndarray, view: View, size: int) -> float:
    """Degrees by which a fitted view may be beside the true one, since its outline still lies beside the
    picture's.

    The square root of the covariance of least squares, of the three turns together, but for errors that go
    together all along the outline, as those of a mesh or a picture of another shape do: the outline of a
    camera that is off by so much would lie as far from this one as the picture's does. That is the median of
    the distances both ways, so that a bar before the object does not count.

    Args:
        surface: the mesh.
        alpha: (H, W) float32, the object in the reference.
        view: the best view.
        size: pixels of the longer side at which it is measured.
    """
    target = shrunk(alpha, size)
    shape = target.shape[::-1]
    buffer = rasterize(surface.vertices, surface.faces, view.camera(*shape))
    if not buffer.mask.any():
        return 180.0
    own, wanted = signed_distance(buffer.mask), signed_distance(target)
    root = np.sqrt(target.sum())
    apart = np.median(np.abs(own - wanted)[rim(buffer.mask) | rim(target)]) / root
    points, _ = rim_points(buffer)

    def depth(step: np.ndarray) -> np.ndarray:
        there = np.empty(len(points))
        depths(points, View.of(view.numbers() + UNITS * step).camera(*shape).pack(), own, there)
        return there

    slopes = np.column_stack([depth(step) - depth(-step) for step in np.eye(len(UNITS)) / 2]) / root
    covariance = np.linalg.inv(slopes.T @ slopes / len(points) + np.diag(HELD**2))
    # Near the pole a degree of azimuth turns the camera by less.
    turns = covariance.diagonal()[:3] * (np.cos(np.radians(view.elevation)) ** 2, 1, 1)
    return float(min(apart * np.sqrt(turns.sum()), 180.0))


@njit(cache=True, nogil=True)
def depths(points, camera, distance, result):
    """How deep inside the outline points (N, 3) appear: a signed distance (H, W), read bilinearly, less what
    they lie beyond the image."""
    height, width = distance.shape
    for k in range(points.shape[0]):
        dx, dy, dz = points[k, 0] - camera[9], points[k, 1] - camera[10], points[k, 2] - camera[11]
        scale = -camera[12] / (dx * camera[2] + dy * camera[5] + dz * camera[8])
        column = camera[13] + (dx * camera[0] + dy * camera[3] + dz * camera[6]) * scale
        row = camera[14] - (dx * camera[1] + dy * camera[4] + dz * camera[7]) * scale
        beyond = max(-column, column - width, -row, row - height, 0.0)
        x, y = min(max(column - 0.5, 0.0), width - 1.0), min(max(row - 0.5, 0.0), height - 1.0)
        left, top = min(int(x), width - 2), min(int(y), height - 2)
        x, y = x - left, y - top
        upper = distance[top, left] * (1 - x) + distance[top, left + 1] * x
        lower = distance[top + 1, left] * (1 - x) + distance[top + 1, left + 1] * x
        result[k] = upper * (1 - y) + lower * y - beyond
