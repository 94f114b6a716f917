"""Which points of the surface a view sees, at which cosine, and how far from a silhouette or depth edge."""

from collections.abc import Sequence

import cv2
import numpy as np
from numba import njit

from ..mesh.surface import Surface
from ..parallel import map_parallel
from .camera import Camera
from .rasterize import GBuffer

SLOPE_PIXELS = 1.5
"""A point may lie behind its pixel by this many pixels of the surface's slope, because the pixel saw another
point of that slope."""

MAX_SLOPE = 10.0
"""Tangent of the angle between view and normal from which a surface counts as no steeper."""

MIN_VISIBLE_COSINE = 0.01
"""Between view and normal, below which a point is not seen."""

OUTWARD_FRACTION = 0.97
"""Fraction of the pixels that show a part from its front above which it is wound outward."""

INWARD_FRACTION = 0.03
"""The same below which it is wound inward."""


def find_winding(surface: Surface, buffers: Sequence[GBuffer]) -> np.ndarray:
    """(F,) int8, the winding of each face: 1 if it faces outward, -1 if inward, 0 if it is seen from either
    side, as in an open sheet. Faces that are connected and wound alike have the same."""
    part = surface.wound_parts
    front, back = np.zeros((2, int(part.max()) + 1), np.int64)
    for buffer in buffers:
        shown, from_front = part[buffer.face[buffer.mask]], buffer.front[buffer.mask]
        front += np.bincount(shown[from_front], minlength=len(front))
        back += np.bincount(shown[~from_front], minlength=len(back))
    # A part that no view sees counts as wound outward.
    fraction = np.where(front + back > 0, front / np.maximum(front + back, 1), 1.0)
    winding = np.select([fraction > OUTWARD_FRACTION, fraction < INWARD_FRACTION], [1, -1], 0)
    return winding.astype(np.int8)[part]


def edge_distances(buffers: Sequence[GBuffer]) -> list[np.ndarray]:
    """:func:`edge_distance` of every view."""
    return map_parallel(edge_distance, buffers)


def edge_distance(buffer: GBuffer) -> np.ndarray:
    """(H, W) float32 pixels from each pixel to the nearest silhouette or jump in depth; 0 on the
    background."""
    depth = np.where(buffer.mask, buffer.depth, np.float32(1e6))
    inner = np.ones(depth.shape, np.uint8)
    inner[~buffer.mask] = 0
    # Second differences vanish on a slope and jump at a step, whatever the slope.
    for axis in (0, 1):
        before, after = np.roll(depth, 1, axis), np.roll(depth, -1, axis)
        bend = np.abs(before + after - 2 * depth)
        step = 4.0 * _pixel_size(buffer.camera, depth) + 0.5 * np.minimum(
            np.abs(before - depth), np.abs(after - depth)
        )
        inner[(bend > step)] = 0
    padded = np.pad(inner, 1)
    return cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]


def _pixel_size(camera: Camera, depth):
    """Length in space that one pixel covers at a depth."""
    return (1.0 if camera.orthographic else depth) / (camera.focal * camera.width)


def observe(
    points: np.ndarray, normals: np.ndarray, buffer: GBuffer, edges: np.ndarray, winding: int | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a view sees of points.

    Args:
        points: (N, 3) float32 on the surface.
        normals: (N, 3) float32 unit.
        buffer: the view.
        edges: its :func:`edge_distance`.
        winding: of the faces on which they lie, (N,) int8 or one for all, see :func:`find_winding`; 0: the
            points are seen from both sides.

    Returns:
        ``cosine`` (N,) float32 between normal and view, 0 where the point is not seen, and ``edge`` (N,)
        float32, pixels to the nearest edge.
    """
    cosine = np.zeros(len(points), np.float32)
    edge = np.zeros(len(points), np.float32)
    winding = np.ascontiguousarray(np.broadcast_to(np.int8(winding), len(points)))
    _observe(points, normals, buffer.camera.pack(), buffer.depth, edges, winding, cosine, edge)
    return cosine, edge


@njit(cache=True, nogil=True)
def _observe(points, normals, camera, depth, edges, winding, cosine, edge):
    """Writes cosine and edge; ``camera`` as :meth:`.camera.Camera.pack` makes it."""
    height, width = depth.shape
    for k in range(points.shape[0]):
        dx, dy, dz = points[k, 0] - camera[9], points[k, 1] - camera[10], points[k, 2] - camera[11]
        # The pixel that holds the point.
        z = -(dx * camera[2] + dy * camera[5] + dz * camera[8])
        if z <= 0:
            continue
        orthographic = camera[17] > 0
        scale = camera[12] / (1.0 if orthographic else z)
        x = (dx * camera[0] + dy * camera[3] + dz * camera[6]) * scale + camera[13]
        y = camera[14] - (dx * camera[1] + dy * camera[4] + dz * camera[7]) * scale
        if not (0 <= x < width and 0 <= y < height):
            continue
        # The cosine between normal and view.
        if orthographic:
            towards = normals[k, 0] * camera[2] + normals[k, 1] * camera[5] + normals[k, 2] * camera[8]
        else:
            towards = -(normals[k, 0] * dx + normals[k, 1] * dy + normals[k, 2] * dz) / np.sqrt(
                dx * dx + dy * dy + dz * dz
            )
        c = abs(towards) if winding[k] == 0 else towards * winding[k]
        if c <= MIN_VISIBLE_COSINE:
            continue
        # Seen if it lies no deeper than its pixel, but for the slope.
        slope = min(np.sqrt(max(1 - c * c, 0.0)) / c, MAX_SLOPE)
        row, column = int(y), int(x)
        if z <= depth[row, column] + (1.0 + SLOPE_PIXELS * slope) / scale:
            cosine[k] = c
            edge[k] = edges[row, column]
