"""Triangles on the pixels of a view: the compiled loops of :mod:`.rasterize`.

Corners are moved to a grid of 1/4096 pixel, on which every edge function is exact in float64 (Pineda 1988):
two triangles that share an edge agree on its sides, so that no pixel between them stays empty.

A fine mesh has more triangles than the view has pixels, so most of the work is to find out that a triangle
shows nothing. It is done for a block of triangles at a time, each step in a loop without branches: which have
a pixel centre in their box; where their corners are; what a triangle whose box holds only one pixel shows
there. Only larger ones are walked pixel by pixel.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .camera import Camera

NEAR_PLANE = 1e-3
"""Triangles that reach closer to the camera than this are not drawn."""

_SUBPIXELS = 4096
"""Steps of the grid per pixel."""

_BLOCK = 256
"""Triangles that are looked at together."""

# The kind of a triangle: the side that one of one pixel shows there, the side of a larger one, or nothing.
_BACK = 0
_FRONT = 1
_LARGE_FRONT = 2
_LARGE_BACK = 3
_NOTHING = 4


class ScreenMesh(NamedTuple):
    """A mesh on the screen of one camera; arrays are flat, because with a constant stride LLVM vectorises the
    loops over them.

    Attributes:
        points: (2 * V,) float32 column and row of each vertex.
        pairs: (V,) uint64, the same memory: both in one load.
        near: (V,) float32 1 / depth, or -depth for an orthographic camera; NaN before :data:`NEAR_PLANE`.
        cells: (V,) uint32, the first pixel centre not before each vertex, kept within the image: column in 16
            low bits, row in 16 high.
        corners: (3 * F,) uint32 vertices of the triangles. Unsigned, because numba checks the sign of every
            signed index.
        orthographic: whether nearness is -depth, which is linear on the screen.
        sign: of the area of a triangle that shows its front. Rows run downwards: counter-clockwise in the
            world is a negative area.
    """

    points: np.ndarray
    pairs: np.ndarray
    near: np.ndarray
    cells: np.ndarray
    corners: np.ndarray
    orthographic: bool
    sign: float


class Canvas(NamedTuple):
    """The pixels that are drawn on, flat arrays of ``height`` rows of ``width``; see
    :class:`.rasterize.GBuffer`, ``nearness`` is :attr:`ScreenMesh.near`."""

    width: int
    height: int
    face: np.ndarray
    barycentric: np.ndarray
    nearness: np.ndarray
    front: np.ndarray


class TriangleBatch(NamedTuple):
    """A block of triangles at the first pixel of their box, each quantity of all triangles in a row.

    Attributes:
        pairs: (3 * _BLOCK,) uint64 their corners; ``points`` (6 * _BLOCK,) float32 are the same memory;
            ``near`` (3 * _BLOCK,) float32.
        kind: (_BLOCK,) uint32, see the constants above.
        place: (_BLOCK,) uint32 the pixel.
        shown: (3 * _BLOCK,) float32 nearness and the weights of the first two corners there.
    """

    pairs: np.ndarray
    points: np.ndarray
    near: np.ndarray
    kind: np.ndarray
    place: np.ndarray
    shown: np.ndarray


def project_mesh(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> ScreenMesh:
    """Triangles (F, 3) over vertices (V, 3), as a camera sees them."""
    count = len(vertices)
    points = np.empty(2 * count, np.float32)
    near = np.empty(count, np.float32)
    cells = np.empty(count, np.uint32)
    _project(np.ascontiguousarray(vertices, np.float32).ravel(), camera.pack(), points, near, cells)
    corners = np.ascontiguousarray(faces, np.int32).ravel().view(np.uint32)
    mirrored = np.linalg.det(camera.rotation) < 0
    return ScreenMesh(
        points=points,
        pairs=points.view(np.uint64),
        near=near,
        cells=cells,
        corners=corners,
        orthographic=camera.orthographic,
        sign=1.0 if mirrored else -1.0,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _project(vertices, camera, points, near, cells):
    """Writes points, nearness and cells of vertices (3 * V,) float32; see :class:`ScreenMesh`."""
    # The camera as :meth:`.camera.Camera.pack` makes it, lengths on the image in steps of the grid.
    orthographic, width, height = camera[17] > 0, camera[15], camera[16]
    focal, unit = camera[12] * _SUBPIXELS, np.float32(1 / _SUBPIXELS)
    centre_x, centre_y = camera[13] * _SUBPIXELS, camera[14] * _SUBPIXELS
    px, py, pz = camera[9], camera[10], camera[11]
    right_x, right_y, right_z = camera[0], camera[3], camera[6]
    up_x, up_y, up_z = camera[1], camera[4], camera[7]
    back_x, back_y, back_z = camera[2], camera[5], camera[8]
    for k in range(cells.shape[0]):
        x, y, z = vertices[3 * k] - px, vertices[3 * k + 1] - py, vertices[3 * k + 2] - pz
        depth = -(x * back_x + y * back_y + z * back_z)
        inverse = 1 / depth if depth >= NEAR_PLANE else np.nan
        scale = focal if orthographic else focal * inverse
        # Rounded to the grid: exact in float32 as long as the image has no more than 4096 pixels along.
        column = np.float32(np.rint((x * right_x + y * right_y + z * right_z) * scale + centre_x) * unit)
        row = np.float32(np.rint(centre_y - (x * up_x + y * up_y + z * up_z) * scale) * unit)
        points[2 * k], points[2 * k + 1] = column, row
        near[k] = (-depth if depth >= NEAR_PLANE else np.nan) if orthographic else inverse
        # The first pixel centre to the right of the vertex, and below it, in one number.
        cell_x = np.ceil(column - 0.5) if depth >= NEAR_PLANE else 0.0
        cell_y = np.ceil(row - 0.5) if depth >= NEAR_PLANE else 0.0
        cells[k] = np.uint32(np.int32(max(0.0, min(width, cell_x)) + 65536 * max(0.0, min(height, cell_y))))


@njit(cache=True, nogil=True, error_model="numpy")
def draw_triangles(mesh, canvas):
    """Draws a :class:`ScreenMesh` mesh on a :class:`Canvas`: the nearest triangle wins, among equals one
    that shows its front.

    Backs come last: those of a closed shape are hidden by then, and hidden ones cost little.
    """
    count = mesh.corners.shape[0] // 3
    pairs = np.empty(3 * _BLOCK, np.uint64)
    batch = TriangleBatch(
        pairs,
        pairs.view(np.float32),
        np.empty(3 * _BLOCK, np.float32),
        np.empty(_BLOCK, np.uint32),
        np.empty(_BLOCK, np.uint32),
        np.empty(3 * _BLOCK, np.float32),
    )
    # Per block: its triangles, those of one pixel, the large ones that show their front.
    block, small, fronts = (
        np.empty(_BLOCK, np.uint32),
        np.empty(_BLOCK, np.uint32),
        np.empty(_BLOCK, np.uint32),
    )
    # Large triangles that show their back wait until all fronts are drawn, ...
    backs, waiting = np.empty(count, np.uint32), 0
    # ... and so do backs of one pixel, with pixel and nearness.
    later, place, near = np.empty(count, np.uint32), np.empty(count, np.uint32), np.empty(count, np.float32)
    small_backs = 0
    for start in range(0, count, _BLOCK):
        found = _cull_between_pixels(mesh, start, min(start + _BLOCK, count), block)
        _load_corners(mesh, block, found, batch)
        _evaluate(
            batch, found, mesh.sign, mesh.orthographic, np.float32(canvas.width), np.float32(canvas.height)
        )
        # Sorted by kind without a branch: each number is written to all three lists, and kept in one.
        shown = large = 0
        for k in range(found):
            small[shown], fronts[large], backs[waiting] = k, block[k], block[k]
            kind = batch.kind[k]
            shown += kind <= _FRONT
            large += kind == _LARGE_FRONT
            waiting += kind == _LARGE_BACK
        small_backs = _draw_small(small[:shown], block, batch, canvas, later, place, near, small_backs)
        _draw_large(fronts[:large], True, mesh, canvas)
    # Small backs that no front hides are drawn with the large ones.
    for k in range(small_backs):
        if near[k] > canvas.nearness[place[k]]:
            backs[waiting] = later[k]
            waiting += 1
    _draw_large(backs[:waiting], False, mesh, canvas)


@njit(cache=True, nogil=True)
def _cull_between_pixels(mesh, start, stop, block):
    """The number of triangles from ``start`` to before ``stop`` that have a pixel centre in their box; which
    they are goes to ``block``. Without a branch: most small ones have none."""
    cells, corners, count = mesh.cells, mesh.corners, 0
    for f in range(start, stop):
        a, b, c = cells[corners[3 * f]], cells[corners[3 * f + 1]], cells[corners[3 * f + 2]]
        differ = (a ^ b) | (a ^ c)
        block[count] = f
        count += ((differ & 0xFFFF) != 0) & ((differ >> 16) != 0)
    return count


@njit(cache=True, nogil=True)
def _load_corners(mesh, block, count, batch):
    """Copies the corners of ``count`` triangles: what follows reads them in order."""
    pairs, near = batch.pairs, batch.near
    for k in range(count):
        f = block[k]
        a, b, c = mesh.corners[3 * f], mesh.corners[3 * f + 1], mesh.corners[3 * f + 2]
        pairs[k], pairs[k + _BLOCK], pairs[k + 2 * _BLOCK] = mesh.pairs[a], mesh.pairs[b], mesh.pairs[c]
        near[k], near[k + _BLOCK], near[k + 2 * _BLOCK] = mesh.near[a], mesh.near[b], mesh.near[c]


@njit(cache=True, nogil=True, error_model="numpy")
def _evaluate(batch, count, sign, orthographic, width, height):
    """Writes kind, place and what is shown there of ``count`` triangles of a block."""
    points, near, kind, place, shown = batch.points, batch.near, batch.kind, batch.place, batch.shown
    half, one, none = np.float32(0.5), np.float32(1), np.float32(0)
    for k in range(count):
        ax, bx, cx = points[2 * k], points[2 * k + 2 * _BLOCK], points[2 * k + 4 * _BLOCK]
        ay, by, cy = points[2 * k + 1], points[2 * k + 1 + 2 * _BLOCK], points[2 * k + 1 + 4 * _BLOCK]
        left, top = max(none, np.ceil(min(ax, bx, cx) - half)), max(none, np.ceil(min(ay, by, cy) - half))
        columns = min(width, np.ceil(max(ax, bx, cx) - half)) - left
        rows = min(height, np.ceil(max(ay, by, cy) - half)) - top
        # Edge functions at the first pixel: weights of the corners, times the area.
        x, y = np.float64(left) + 0.5, np.float64(top) + 0.5
        xa, xb, xc, ya, yb, yc = ax - x, bx - x, cx - x, ay - y, by - y, cy - y
        wa, wb, wc = (xb * yc - yb * xc) * sign, (xc * ya - yc * xa) * sign, (xa * yb - ya * xb) * sign
        area = wa + wb + wc
        inside = ((wa >= 0) & (wb >= 0) & (wc >= 0)) | ((wa <= 0) & (wb <= 0) & (wc <= 0))
        large = (columns != one) | (rows != one)
        side = (_LARGE_FRONT if large else _FRONT) if area > 0 else (_LARGE_BACK if large else _BACK)
        kind[k] = side if (abs(area) > 0) & (large | inside) else _NOTHING
        place[k] = np.uint32(np.int32(top * width + left))
        # Depth is linear in the plane, its reciprocal is linear on the screen.
        scale = 1 / area
        na, nb, nc = near[k] * scale, near[k + _BLOCK] * scale, near[k + 2 * _BLOCK] * scale
        here = wa * na + wb * nb + wc * nc
        whole = 1 / here
        shown[k] = here
        shown[k + _BLOCK] = wa * scale if orthographic else wa * na * whole
        shown[k + 2 * _BLOCK] = wb * scale if orthographic else wb * nb * whole


@njit(cache=True, nogil=True)
def _draw_small(order, block, batch, canvas, later, place, near, small_backs):
    """Draws triangles of one pixel that show their front. Backs that are not hidden yet are noted in
    ``later``, ``place`` and ``near``; returns how many there are by now."""
    for k in order:
        at, here = batch.place[k], batch.shown[k]
        if here > canvas.nearness[at]:
            if batch.kind[k] == _FRONT:
                canvas.nearness[at], canvas.face[at], canvas.front[at] = here, block[k], True
                canvas.barycentric[2 * at], canvas.barycentric[2 * at + 1] = (
                    batch.shown[k + _BLOCK],
                    batch.shown[k + 2 * _BLOCK],
                )
            else:
                later[small_backs], place[small_backs], near[small_backs] = block[k], at, here
                small_backs += 1
    return small_backs


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_large(order, shows_front, mesh, canvas):
    """Draws triangles that show the same side, pixel by pixel of their box."""
    points, near, cells, corners, width = mesh.points, mesh.near, mesh.cells, mesh.corners, canvas.width
    nearness, sign = canvas.nearness, mesh.sign if shows_front else -mesh.sign
    for k in range(order.shape[0]):
        f = order[k]
        a, b, c = corners[3 * f], corners[3 * f + 1], corners[3 * f + 2]
        left = min(cells[a] & 0xFFFF, cells[b] & 0xFFFF, cells[c] & 0xFFFF)
        columns = max(cells[a] & 0xFFFF, cells[b] & 0xFFFF, cells[c] & 0xFFFF) - left
        top = min(cells[a], cells[b], cells[c]) >> 16
        rows = (max(cells[a], cells[b], cells[c]) >> 16) - top
        if _is_hidden(nearness, top * width + left, columns, rows, width, max(near[a], near[b], near[c])):
            continue
        # Weights of the corners, times the area, at the first pixel of the box; then their steps.
        x, y = left + 0.5, top + 0.5
        xa, xb, xc = points[2 * a] - x, points[2 * b] - x, points[2 * c] - x
        ya, yb, yc = points[2 * a + 1] - y, points[2 * b + 1] - y, points[2 * c + 1] - y
        wa, wb, wc = xb * yc - yb * xc, xc * ya - yc * xa, xa * yb - ya * xb
        wa, wb, wc = wa * sign, wb * sign, wc * sign
        if (columns | rows) == 1 and (wa < 0 or wb < 0 or wc < 0):
            continue
        scale = 1 / (wa + wb + wc)
        na, nb, nc = near[a] * scale, near[b] * scale, near[c] * scale
        right_a, right_b, right_c = (yb - yc) * sign, (yc - ya) * sign, (ya - yb) * sign
        down_a, down_b, down_c = (xc - xb) * sign, (xa - xc) * sign, (xb - xa) * sign
        for row in range(top, top + rows):
            first, last = 0.0, columns - 1.0
            if columns > 1:
                # The columns on which all three edge functions are not negative.
                first, last = _span(wa, right_a, first, last)
                first, last = _span(wb, right_b, first, last)
                first, last = _span(wc, right_c, first, last)
            elif wa < 0 or wb < 0 or wc < 0:
                last = -1.0
            ea, eb, ec = wa + first * right_a, wb + first * right_b, wc + first * right_c
            for place in range(row * width + left + int(first), row * width + left + int(last) + 1):
                # Depth is linear in the plane, its reciprocal is linear on the screen.
                here = ea * na + eb * nb + ec * nc
                if np.float32(here) > nearness[place]:
                    nearness[place], canvas.face[place], canvas.front[place] = here, f, shows_front
                    whole = 1 / here
                    canvas.barycentric[2 * place] = ea * scale if mesh.orthographic else ea * na * whole
                    canvas.barycentric[2 * place + 1] = eb * scale if mesh.orthographic else eb * nb * whole
                ea, eb, ec = ea + right_a, eb + right_b, ec + right_c
            wa, wb, wc = wa + down_a, wb + down_b, wc + down_c


@njit(cache=True, nogil=True)
def _is_hidden(nearness, place, columns, rows, width, nearest):
    """Whether every pixel of a box shows something nearer already."""
    for _ in range(rows):
        for at in range(place, place + columns):
            if nearest > nearness[at]:
                return False
        place += width
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _span(weight, step, first, last):
    """The columns from ``first`` to ``last`` on which an edge function is not negative; exact, as are its
    arguments."""
    if step > 0:
        return max(first, np.ceil(-weight / step)), last
    if step < 0:
        return first, min(last, np.floor(-weight / step))
    return first, last if weight >= 0 else -1.0
