"""A z-buffer in numba: which triangle each pixel of a view sees, and where on it.

Corners are moved to a grid of 1/4096 pixel, on which every edge function is exact in float64 (Pineda 1988): two triangles that share an
edge agree on its sides, so that no pixel between them stays empty. ``benchmarks/render.py`` measures it against Embree.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..mesh.surface import Surface
from .camera import Camera

NEAR = 1e-3
"""Triangles that reach closer to the camera than this are not drawn."""

_SUBPIXELS = 4096
_BLOCK = 256
_ONE, _TINY = np.float32(1), np.float32(1e-30)  # a plain number would make float64 of a kernel's float32


@dataclass(frozen=True)
class GBuffer:
    """What one view sees of a surface.

    Attributes:
        camera: the view.
        face: (H, W) int32, -1 for background.
        barycentric: (H, W, 2) float32, weights of the face's first two corners; 0 for background.
        depth: (H, W) float32 along the view axis, infinite for background.
        front: (H, W) bool, whether the face shows the side on which its corners run counter-clockwise.
    """

    camera: Camera
    face: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray
    front: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool: pixels on the surface."""
        return self.face >= 0


def render(surface: Surface, cameras: Iterable[Camera], progress: Callable[[float], None] = lambda fraction: None) -> list[GBuffer]:
    """The G-buffer of every camera, drawn by all cores."""
    cameras = list(cameras)
    buffers = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for buffer in pool.map(lambda camera: rasterize(surface.vertices, surface.faces, camera), cameras):
            buffers.append(buffer)
            progress(len(buffers) / len(cameras))
    return buffers


def rasterize(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> GBuffer:
    """The G-buffer of triangles (F, 3) over vertices (V, 3); both sides of a triangle are seen."""
    shape, packed = (camera.height, camera.width), camera.pack()
    screen, cells = np.empty(3 * len(vertices), np.float32), np.empty(len(vertices), np.uint32)
    _project(np.ascontiguousarray(vertices, np.float32).ravel(), packed, screen, cells)
    face, barycentric, front = np.full(shape, -1, np.int32), np.zeros((*shape, 2), np.float32), np.zeros(shape, bool)
    nearness = np.full(shape, -np.inf if camera.orthographic else 0, np.float32)
    # Unsigned, because numba looks at the sign of every signed index.
    corners = np.ascontiguousarray(faces, np.int32).ravel().view(np.uint32)
    mirrored = np.linalg.det(camera.rotation) < 0
    _draw(screen, cells, corners, camera.orthographic, mirrored, camera.width,
          face.ravel(), barycentric.ravel(), nearness.ravel(), front.ravel())
    with np.errstate(divide="ignore"):
        depth = np.negative(nearness, out=nearness) if camera.orthographic else np.reciprocal(nearness, out=nearness)
    return GBuffer(camera, face, barycentric, depth, front)


def seen_points(buffer: GBuffer) -> np.ndarray:
    """(N, 3) float32 point of the surface under each pixel of the mask, row by row."""
    return positions(buffer)[buffer.mask]


def positions(buffer: GBuffer) -> np.ndarray:
    """(H, W, 3) float32 points on the surface under the pixels' centres, 0 on the background."""
    image = np.zeros((*buffer.face.shape, 3), np.float32)
    _positions(buffer.depth, buffer.camera.pack(), image)
    return image


def normals(buffer: GBuffer, surface: Surface) -> np.ndarray:
    """(H, W, 3) float32 unit shading normals, 0 on the background.

    They are turned where the triangle shows its back, as Cycles turns them; a shading normal that bends away from the viewer at the rim
    of a smooth shape stays as it is.
    """
    image = np.zeros((*buffer.face.shape, 3), np.float32)
    _normals(buffer.face.ravel(), buffer.barycentric.ravel(), buffer.front.ravel(), surface.corner_normals.ravel(), image.ravel())
    return image


# Kernels take flat arrays: with a constant stride LLVM vectorises the loops over vertices.


@njit(cache=True, nogil=True, error_model="numpy")
def _project(vertices, camera, screen, cells):
    """Column, row and nearness (1 / depth, or -depth for an orthographic camera; NaN before NEAR) of each vertex, and its cell: the first
    pixel centre not before it, column in the low 16 bits and row in the high, kept within the image."""
    orthographic, focal, centre_x, centre_y, width, height = camera[17] > 0, camera[12], camera[13], camera[14], camera[15], camera[16]
    px, py, pz = camera[9], camera[10], camera[11]
    right_x, right_y, right_z, up_x, up_y, up_z = camera[0], camera[3], camera[6], camera[1], camera[4], camera[7]
    back_x, back_y, back_z = camera[2], camera[5], camera[8]
    for k in range(cells.shape[0]):
        x, y, z = vertices[3 * k] - px, vertices[3 * k + 1] - py, vertices[3 * k + 2] - pz
        depth = -(x * back_x + y * back_y + z * back_z)
        inverse = 1 / depth if depth >= NEAR else np.nan
        scale = focal if orthographic else focal * inverse
        column = np.float32(np.rint(((x * right_x + y * right_y + z * right_z) * scale + centre_x) * _SUBPIXELS) / _SUBPIXELS)
        row = np.float32(np.rint((centre_y - (x * up_x + y * up_y + z * up_z) * scale) * _SUBPIXELS) / _SUBPIXELS)
        screen[3 * k], screen[3 * k + 1] = column, row
        screen[3 * k + 2] = (-depth if depth >= NEAR else np.nan) if orthographic else inverse
        cell_x = np.ceil(column - 0.5) if depth >= NEAR else 0.0
        cell_y = np.ceil(row - 0.5) if depth >= NEAR else 0.0
        cells[k] = np.uint32(np.int32(max(0.0, min(width, cell_x)) + 65536 * max(0.0, min(height, cell_y))))


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(screen, cells, corners, orthographic, mirrored, width, face, barycentric, nearness, front):
    """Draws triangles over (H * W) pixels: the nearest wins, of equals one that shows its front, then the first.

    Backs come last: of a closed shape they are hidden by then, and what is hidden costs little.
    """
    count = corners.shape[0] // 3
    block, backs, waiting = np.empty(_BLOCK, np.uint32), np.empty(count, np.uint32), 0
    # Rows run downwards: what is counter-clockwise in the world has a negative area.
    sign = 1.0 if mirrored else -1.0
    for start in range(0, count, _BLOCK):
        fronts = 0
        for k in range(_on_centres(cells, corners, start, min(start + _BLOCK, count), block)):
            f = block[k]
            a, b, c = 3 * corners[3 * f], 3 * corners[3 * f + 1], 3 * corners[3 * f + 2]
            x, y = np.float64(screen[a]), np.float64(screen[a + 1])
            area = sign * ((screen[b] - x) * (screen[c + 1] - y) - (screen[c] - x) * (screen[b + 1] - y))
            block[fronts] = backs[waiting] = f
            fronts, waiting = fronts + (area > 0), waiting + (area < 0)
        _draw_side(block[:fronts], True, sign, screen, cells, corners, orthographic, width, face, barycentric, nearness, front)
    _draw_side(backs[:waiting], False, -sign, screen, cells, corners, orthographic, width, face, barycentric, nearness, front)


@njit(cache=True, nogil=True)
def _on_centres(cells, corners, start, stop, block):
    """How many of the triangles have a pixel centre in their box; their numbers go to ``block``. Without a branch: most small ones miss."""
    count = 0
    for f in range(start, stop):
        a, b, c = cells[corners[3 * f]], cells[corners[3 * f + 1]], cells[corners[3 * f + 2]]
        differ = (a ^ b) | (a ^ c)
        block[count] = f
        count += ((differ & 0xFFFF) != 0) & ((differ >> 16) != 0)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_side(order, shows_front, sign, screen, cells, corners, orthographic, width, face, barycentric, nearness, front):
    """Draws triangles that show the same side; ``sign`` is that of their area on the screen."""
    for k in range(order.shape[0]):
        f = order[k]
        a, b, c = corners[3 * f], corners[3 * f + 1], corners[3 * f + 2]
        left = min(cells[a] & 0xFFFF, cells[b] & 0xFFFF, cells[c] & 0xFFFF)
        columns = max(cells[a] & 0xFFFF, cells[b] & 0xFFFF, cells[c] & 0xFFFF) - left
        top = min(cells[a], cells[b], cells[c]) >> 16
        rows = (max(cells[a], cells[b], cells[c]) >> 16) - top
        if _hidden(nearness, top * width + left, columns, rows, width, max(screen[3 * a + 2], screen[3 * b + 2], screen[3 * c + 2])):
            continue
        # Weights of the corners, times the area, at the first pixel of the box; then their steps.
        x, y = left + 0.5, top + 0.5
        xa, xb, xc = screen[3 * a] - x, screen[3 * b] - x, screen[3 * c] - x
        ya, yb, yc = screen[3 * a + 1] - y, screen[3 * b + 1] - y, screen[3 * c + 1] - y
        wa, wb, wc = xb * yc - yb * xc, xc * ya - yc * xa, xa * yb - ya * xb
        wa, wb, wc = wa * sign, wb * sign, wc * sign
        if (columns | rows) == 1 and (wa < 0 or wb < 0 or wc < 0):
            continue
        scale = 1 / (wa + wb + wc)
        na, nb, nc = screen[3 * a + 2] * scale, screen[3 * b + 2] * scale, screen[3 * c + 2] * scale
        right_a, right_b, right_c = (yb - yc) * sign, (yc - ya) * sign, (ya - yb) * sign
        down_a, down_b, down_c = (xc - xb) * sign, (xa - xc) * sign, (xb - xa) * sign
        for row in range(top, top + rows):
            first, last = 0.0, columns - 1.0
            if columns > 1:
                first, last = _span(wa, right_a, first, last)
                first, last = _span(wb, right_b, first, last)
                first, last = _span(wc, right_c, first, last)
            elif wa < 0 or wb < 0 or wc < 0:
                last = -1.0
            ea, eb, ec = wa + first * right_a, wb + first * right_b, wc + first * right_c
            for place in range(row * width + left + int(first), row * width + left + int(last) + 1):
                # Depth is linear in the plane, its reciprocal is linear on the screen.
                near = ea * na + eb * nb + ec * nc
                if np.float32(near) > nearness[place]:
                    nearness[place], face[place], front[place] = near, f, shows_front
                    whole = 1 / near
                    barycentric[2 * place] = ea * scale if orthographic else ea * na * whole
                    barycentric[2 * place + 1] = eb * scale if orthographic else eb * nb * whole
                ea, eb, ec = ea + right_a, eb + right_b, ec + right_c
            wa, wb, wc = wa + down_a, wb + down_b, wc + down_c


@njit(cache=True, nogil=True)
def _hidden(nearness, place, columns, rows, width, nearest):
    """Whether every pixel of a box already shows something nearer."""
    for _ in range(rows):
        for at in range(place, place + columns):
            if nearest > nearness[at]:
                return False
        place += width
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _span(weight, step, first, last):
    """The columns from ``first`` to ``last`` on which an edge function is not negative; exact, as are its arguments."""
    if step > 0:
        return max(first, np.ceil(-weight / step)), last
    if step < 0:
        return first, min(last, np.floor(-weight / step))
    return first, last if weight >= 0 else -1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _positions(depth, camera, image):
    """The points from the camera, along each pixel's ray."""
    focal, centre_x, centre_y, orthographic = camera[12], camera[13], camera[14], camera[17] > 0
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            away = np.float64(depth[row, column])
            if away < np.inf:
                scale = 1 / focal if orthographic else away / focal
                right, up = (column + 0.5 - centre_x) * scale, (centre_y - row - 0.5) * scale
                image[row, column, 0] = camera[9] + right * camera[0] + up * camera[1] - away * camera[2]
                image[row, column, 1] = camera[10] + right * camera[3] + up * camera[4] - away * camera[5]
                image[row, column, 2] = camera[11] + right * camera[6] + up * camera[7] - away * camera[8]


@njit(cache=True, nogil=True, error_model="numpy")
def _normals(face, barycentric, front, corner_normals, image):
    for k in range(face.shape[0]):
        if face[k] >= 0:
            f = np.uint32(face[k])
            u, v = barycentric[2 * k], barycentric[2 * k + 1]
            w = _ONE - u - v
            x = u * corner_normals[9 * f] + v * corner_normals[9 * f + 3] + w * corner_normals[9 * f + 6]
            y = u * corner_normals[9 * f + 1] + v * corner_normals[9 * f + 4] + w * corner_normals[9 * f + 7]
            z = u * corner_normals[9 * f + 2] + v * corner_normals[9 * f + 5] + w * corner_normals[9 * f + 8]
            scale = (_ONE if front[k] else -_ONE) / np.sqrt(max(x * x + y * y + z * z, _TINY))
            image[3 * k], image[3 * k + 1], image[3 * k + 2] = x * scale, y * scale, z * scale
