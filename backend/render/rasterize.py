"""A z-buffer in numba: which triangle each pixel of a view sees, and where on it.

Measured against Embree, warp, EGL and torch it is the fastest on a CPU (specs: 122 views of a 200k-triangle mesh in about a second).
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..mesh.surface import Surface
from .camera import Camera

NEAR = 1e-3
"""Triangles that reach closer to the camera than this are not drawn."""


@dataclass(frozen=True)
class GBuffer:
    """What one view sees of a surface.

    Attributes:
        camera: the view.
        face: (H, W) int32, -1 for background.
        barycentric: (H, W, 2) float32, weights of the face's first two corners.
        depth: (H, W) float32 along the view axis, infinite for background.
    """

    camera: Camera
    face: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool: pixels on the surface."""
        return self.face >= 0


def render(surface: Surface, cameras: Iterable[Camera], progress: Callable[[float], None] = lambda fraction: None) -> list[GBuffer]:
    """The G-buffer of every camera, drawn by all cores."""
    cameras = list(cameras)
    buffers = []
    with ThreadPoolExecutor() as pool:
        for buffer in pool.map(lambda camera: rasterize(surface.vertices, surface.faces, camera), cameras):
            buffers.append(buffer)
            progress(len(buffers) / len(cameras))
    return buffers


def rasterize(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> GBuffer:
    """The G-buffer of triangles (F, 3) over vertices (V, 3); both sides of a triangle are seen."""
    pixels, depth = camera.project(vertices.astype(np.float64))
    face = np.full((camera.height, camera.width), -1, np.int32)
    barycentric = np.zeros((camera.height, camera.width, 2), np.float32)
    buffer = np.full((camera.height, camera.width), np.inf, np.float32)
    _draw(pixels, depth, faces, camera.orthographic, face, barycentric, buffer)
    return GBuffer(camera, face, barycentric, buffer)


def seen_points(buffer: GBuffer, surface: Surface) -> np.ndarray:
    """(N, 3) float32 point of the surface under each pixel of the mask, row by row."""
    return _interpolate(buffer.face, buffer.barycentric, surface.faces, surface.vertices, int(buffer.mask.sum()))


def positions(buffer: GBuffer, surface: Surface) -> np.ndarray:
    """(H, W, 3) float32 points on the surface, 0 on the background."""
    return _spread(buffer, seen_points(buffer, surface))


def normals(buffer: GBuffer, surface: Surface) -> np.ndarray:
    """(H, W, 3) float32 unit shading normals, turned towards the camera; 0 on the background."""
    corners = np.arange(3 * len(surface.faces), dtype=np.int32).reshape(-1, 3)
    normal = _interpolate(buffer.face, buffer.barycentric, corners, surface.corner_normals.reshape(-1, 3), int(buffer.mask.sum()))
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    towards = buffer.camera.directions_to(seen_points(buffer, surface))
    return _spread(buffer, normal * np.where((normal * towards).sum(axis=1, keepdims=True) < 0, -1, 1).astype(np.float32))


def _spread(buffer: GBuffer, values: np.ndarray) -> np.ndarray:
    image = np.zeros((*buffer.face.shape, values.shape[1]), np.float32)
    image[buffer.mask] = values
    return image


@njit(cache=True, nogil=True)
def _interpolate(face, barycentric, faces, values, count):
    result = np.empty((count, 3), np.float32)
    k = 0
    for row in range(face.shape[0]):
        for column in range(face.shape[1]):
            f = face[row, column]
            if f >= 0:
                u, v = barycentric[row, column, 0], barycentric[row, column, 1]
                a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
                for axis in range(3):
                    result[k, axis] = u * values[a, axis] + v * values[b, axis] + (1 - u - v) * values[c, axis]
                k += 1
    return result


@njit(cache=True, nogil=True)
def _draw(pixels, depth, faces, orthographic, face, barycentric, buffer):
    height, width = face.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f]
        za, zb, zc = depth[a], depth[b], depth[c]
        if min(za, zb, zc) < NEAR:
            continue
        xa, ya, xb, yb, xc, yc = pixels[a, 0], pixels[a, 1], pixels[b, 0], pixels[b, 1], pixels[c, 0], pixels[c, 1]
        area = (xb - xa) * (yc - ya) - (yb - ya) * (xc - xa)
        if area == 0:
            continue
        first_column = max(0, int(np.ceil(min(xa, xb, xc) - 0.5)))
        last_column = min(width - 1, int(np.floor(max(xa, xb, xc) - 0.5)))
        first_row = max(0, int(np.ceil(min(ya, yb, yc) - 0.5)))
        last_row = min(height - 1, int(np.floor(max(ya, yb, yc) - 0.5)))
        for row in range(first_row, last_row + 1):
            y = row + 0.5
            for column in range(first_column, last_column + 1):
                x = column + 0.5
                wa = ((xb - x) * (yc - y) - (yb - y) * (xc - x)) / area
                wb = ((xc - x) * (ya - y) - (yc - y) * (xa - x)) / area
                wc = 1 - wa - wb
                if wa < -1e-9 or wb < -1e-9 or wc < -1e-9:
                    continue
                if orthographic:
                    z = wa * za + wb * zb + wc * zc
                else:
                    # Depth is linear in the plane, its reciprocal is linear on the screen.
                    z = 1 / (wa / za + wb / zb + wc / zc)
                    wa *= z / za
                    wb *= z / zb
                if z < buffer[row, column]:
                    buffer[row, column] = z
                    face[row, column] = f
                    barycentric[row, column, 0] = wa
                    barycentric[row, column, 1] = wb
