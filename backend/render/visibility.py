"""Which points of the surface a view sees, how squarely, and how far from an edge."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numba import njit

from ..mesh.surface import Surface
from .camera import Camera
from .rasterize import GBuffer

SLOPE_PIXELS = 1.5
"""A point may lie behind its pixel by this many pixels of the surface's slope, because the pixel saw another
point of that slope."""


def facing(surface: Surface, buffers: Sequence[GBuffer]) -> int:
    """How the mesh winds its triangles: 1 outward, -1 inward, 0 both or neither, so that every triangle has
    to count as two-sided."""
    front = back = 0
    for buffer in buffers:
        shown = np.zeros(len(surface.faces), bool)
        shown[buffer.face[buffer.mask]] = True
        faces = np.flatnonzero(shown)
        towards = buffer.camera.directions_to(surface.vertices[surface.faces[faces, 0]].astype(np.float64))
        side = (surface.face_normals[faces] * towards).sum(axis=1)
        front, back = front + int((side > 0).sum()), back + int((side < 0).sum())
    share = front / max(front + back, 1)
    return 1 if share > 0.98 else -1 if share < 0.02 else 0


def edge_distances(buffers: Sequence[GBuffer]) -> list[np.ndarray]:
    """:func:`edge_distance` of every view."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(edge_distance, buffers))


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
    return (1.0 if camera.orthographic else depth) / (camera.focal * camera.width)


def observe(
    points: np.ndarray, normals: np.ndarray, buffer: GBuffer, edges: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a view sees of points.

    Args:
        points: (N, 3) float32 on the surface.
        normals: (N, 3) float32 unit.
        buffer: the view.
        edges: its :func:`edge_distance`.
        side: the surface's :func:`facing`.

    Returns:
        ``cosine`` (N,) float32 between normal and view, 0 where the point is not seen, and ``edge`` (N,)
        float32, pixels to the nearest edge.
    """
    cosine = np.zeros(len(points), np.float32)
    edge = np.zeros(len(points), np.float32)
    _observe(points, normals, buffer.camera.pack(), buffer.depth, edges, side, cosine, edge)
    return cosine, edge


@njit(cache=True, nogil=True)
def _observe(points, normals, camera, depth, edges, side, cosine, edge):
    height, width = depth.shape
    for k in range(points.shape[0]):
        dx, dy, dz = points[k, 0] - camera[9], points[k, 1] - camera[10], points[k, 2] - camera[11]
        z = -(dx * camera[2] + dy * camera[5] + dz * camera[8])
        if z <= 0:
            continue
        orthographic = camera[17] > 0
        scale = camera[12] / (1.0 if orthographic else z)
        x = (dx * camera[0] + dy * camera[3] + dz * camera[6]) * scale + camera[13]
        y = camera[14] - (dx * camera[1] + dy * camera[4] + dz * camera[7]) * scale
        if not (0 <= x < width and 0 <= y < height):
            continue
        if orthographic:
            towards = normals[k, 0] * camera[2] + normals[k, 1] * camera[5] + normals[k, 2] * camera[8]
        else:
            towards = -(normals[k, 0] * dx + normals[k, 1] * dy + normals[k, 2] * dz) / np.sqrt(
                dx * dx + dy * dy + dz * dz
            )
        c = abs(towards) if side == 0 else towards * side
        if c <= 0.01:
            continue
        slope = min(np.sqrt(max(1 - c * c, 0.0)) / c, 10.0)
        row, column = int(y), int(x)
        if z <= depth[row, column] + (1.0 + SLOPE_PIXELS * slope) / scale:
            cosine[k] = c
            edge[k] = edges[row, column]
