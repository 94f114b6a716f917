"""UV layouts: which texel lies on which triangle, and whether a layout can carry a texture."""

import os

import cv2
import numpy as np
from numba import njit

from ..parallel import map_ranges
from .edges import corner_components
from .tiles import MAX_TILES, atlas_size, find_strays, gather_tiles

OVERLAP_TOLERANCE = 0.002
"""Fraction of covered texels that may lie on two triangles: rounding at island borders, not stacked
islands."""

CHECK_SIZE = 1024
"""Texels along each tile of the raster that looks for overlaps."""

STACKED_BLOCK = 5
"""Texels along a block of which each lies on two triangles, from which on parts lie upon one another."""

TEXELS_PER_FACE = 2
"""Texels of that raster that each face has on average at least."""

MAX_NEEDED_FRACTION = 0.01
"""Fraction of that raster that is enough for any number of faces."""

MIN_TEXELS = 256
"""Texels of that raster that a layout has at least."""

MIN_STACKED_TEXELS = 9
"""Texels of a part that lie on another, too, from which on it is no rounding, if they are half of it."""

OVERLAP = "faces overlap in the active UV map"
"""Why a layout cannot carry a texture if faces share texels."""

MIN_UV_AREA = 1e-12
"""Twice the area in the unit square below which a face is folded."""

MAX_FOLDED_FRACTION = 0.01
"""Fraction of the faces that may be folded."""


def why_unusable(corner_uvs: np.ndarray | None) -> str | None:
    """Why a layout (F, 3, 2) float32 cannot carry a texture, as the end of a sentence; None when it can."""
    if corner_uvs is None:
        return "the mesh has no UV map"
    if not np.isfinite(corner_uvs).all():
        return "the active UV map holds NaN or infinite values"
    strays = find_strays(corner_uvs)
    if strays.any():
        return (
            f"the active UV map leaves the 0 to 1 square: {_count_faces(strays)} across its border or "
            f"outside the UDIM tiles (it reaches {find_reach(corner_uvs[strays]):.4g})"
        )
    atlas, tiles = gather_tiles(corner_uvs)
    if len(tiles) > MAX_TILES:
        return f"the active UV map spreads over {len(tiles):,} UDIM tiles, and {MAX_TILES} are the most"
    edges = corner_uvs[:, 1:] - corner_uvs[:, :1]
    flat = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) < MIN_UV_AREA
    if flat.mean() > MAX_FOLDED_FRACTION:
        return f"the active UV map folds faces: {_count_faces(flat)} on a point or a line in it"
    hits = count_hits(atlas, atlas_size(tiles, CHECK_SIZE))
    covered, shared = (hits > 0).sum(), (hits > 1).sum()
    enough = min(TEXELS_PER_FACE * len(corner_uvs), MAX_NEEDED_FRACTION * CHECK_SIZE**2)
    if covered < max(MIN_TEXELS, enough):
        return (
            f"the active UV map is too small to hold a texture: its {len(corner_uvs):,} faces have "
            f"{covered:,} of {CHECK_SIZE} x {CHECK_SIZE} texels"
        )
    # Next to the border of an island a texel may lie on two; a small part upon another one is thicker.
    block = np.ones((STACKED_BLOCK, STACKED_BLOCK), np.uint8)
    stacked = cv2.erode((hits > 1).astype(np.uint8), block, borderValue=0).any()
    if shared > OVERLAP_TOLERANCE * covered or stacked or (shared and _has_stacked_part(atlas, hits)):
        return OVERLAP
    return None


def _count_faces(chosen: np.ndarray) -> str:
    """Words for how many faces lie somewhere, of a mask (F,) bool."""
    count = int(chosen.sum())
    return f"{count:,} of {len(chosen):,} faces {'lies' if count == 1 else 'lie'}"


def _has_stacked_part(corner_uvs: np.ndarray, hits: np.ndarray) -> bool:
    """Whether half of a part, faces (F, 3, 2) float32 that share their UVs, lies upon another or itself."""
    bits = np.ascontiguousarray(corner_uvs, np.float32).reshape(-1, 2).view(np.int64)
    corners = np.unique(bits, return_inverse=True)[1].reshape(-1, 3)
    part = corner_components(corners, np.arange(len(corners)))
    place, face = list_face_texels(corner_uvs, len(hits))
    covered = np.bincount(part[face])
    shared = np.bincount(part[face], hits.ravel()[place] > 1, len(covered))
    return bool(((shared >= MIN_STACKED_TEXELS) & (2 * shared >= covered)).any())


def find_reach(corner_uvs: np.ndarray) -> float:
    """The coordinate of UVs (N, 3, 2) that is farthest from the 0 to 1 square."""
    values = corner_uvs.ravel()
    return float(values[np.abs(values - 0.5).argmax()])


def count_hits(corner_uvs: np.ndarray, size: int) -> np.ndarray:
    """(size, size) uint8: the number of triangles on each texel, 2 for more."""
    hits = np.zeros((size, size), np.uint8)
    _count_hits(corner_uvs, hits)
    return hits


def count_overlaps(corner_uvs: np.ndarray, size: int) -> tuple[int, int]:
    """``(covered, shared)``: texels of a ``size`` square that lie on one triangle or more, and on two or
    more."""
    hits = count_hits(corner_uvs, size)
    return int((hits > 0).sum()), int((hits > 1).sum())


def list_face_texels(corner_uvs: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """``(place, face)``, each (N,) int32: the flat places, row 0 at the top, of the texels of a ``size``
    square that lie on each triangle (F, 3, 2) float32, one triangle after the other."""
    uvs = np.ascontiguousarray(corner_uvs, np.float32)
    nothing = np.zeros(0, np.int32)
    count = _list_face_texels(uvs, size, nothing, nothing)
    place, face = np.empty(count, np.int32), np.empty(count, np.int32)
    _list_face_texels(uvs, size, place, face)
    return place, face


def rasterize_atlas(corner_uvs: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The triangle that each texel centre lies on, found on all cores.

    Args:
        corner_uvs: (F, 3, 2) float32, v up.
        size: width and height of the atlas.

    Returns:
        ``face`` (size, size) int32, -1 off the surface, row 0 at the top, and ``barycentric`` (size, size, 2)
        float32: weights of the triangle's first two corners.
    """
    face = np.full((size, size), -1, np.int32)
    barycentric = np.zeros((size, size, 2), np.float32)
    uvs = np.ascontiguousarray(corner_uvs, np.float32)
    # One band of rows per core, because every band looks at all triangles.
    rows = -(-size // (os.cpu_count() or 1))
    map_ranges(lambda first, end: _rasterize(uvs, first, end, face, barycentric), size, rows)
    return face, barycentric


@njit(cache=True, nogil=True)
def _corners(uv, size):
    """Column and row of a triangle's corners, row 0 at the top."""
    return (
        uv[0, 0] * size,
        (1 - uv[0, 1]) * size,
        uv[1, 0] * size,
        (1 - uv[1, 1]) * size,
        uv[2, 0] * size,
        (1 - uv[2, 1]) * size,
    )


@njit(cache=True, nogil=True)
def _inside(ax, ay, bx, by, px, py):
    """Whether a point lies on the inner side of an edge."""
    value = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    if value != 0:
        return value > 0
    # Exactly one of two triangles that share an edge owns the texel centres on it.
    return by > ay or (by == ay and bx < ax)


@njit(cache=True, nogil=True)
def _lies_on(x0, y0, x1, y1, x2, y2, px, py):
    """Whether a point lies on a counter-clockwise triangle."""
    return (
        _inside(x0, y0, x1, y1, px, py)
        and _inside(x1, y1, x2, y2, px, py)
        and _inside(x2, y2, x0, y0, px, py)
    )


@njit(cache=True, nogil=True)
def _texels(a, b, c, size):
    """The range of texels whose centres lie between three coordinates."""
    low = max(0, int(np.ceil(min(a, b, c) - 0.5)))
    high = min(size - 1, int(np.floor(max(a, b, c) - 0.5)))
    return low, high + 1


@njit(cache=True, nogil=True)
def _count_hits(uvs, hits):
    """Adds 1 to every texel (S, S) uint8 of each triangle (F, 3, 2), up to 2."""
    size = hits.shape[0]
    for f in range(uvs.shape[0]):
        x0, y0, x1, y1, x2, y2 = _corners(uvs[f], size)
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        if area == 0:
            continue
        # All triangles counter-clockwise, so that the three edge tests have one sign.
        if area < 0:
            x1, y1, x2, y2 = x2, y2, x1, y1
        first_row, end_row = _texels(y0, y1, y2, size)
        first_column, end_column = _texels(x0, x1, x2, size)
        for row in range(first_row, end_row):
            for column in range(first_column, end_column):
                if hits[row, column] < 2 and _lies_on(x0, y0, x1, y1, x2, y2, column + 0.5, row + 0.5):
                    hits[row, column] += 1


@njit(cache=True, nogil=True)
def _list_face_texels(uvs, size, place, face):
    """Writes flat place and triangle of every texel where there is room; returns how many there are."""
    count = 0
    for f in range(uvs.shape[0]):
        x0, y0, x1, y1, x2, y2 = _corners(uvs[f], size)
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        if area == 0:
            continue
        if area < 0:
            x1, y1, x2, y2 = x2, y2, x1, y1
        first_row, end_row = _texels(y0, y1, y2, size)
        first_column, end_column = _texels(x0, x1, x2, size)
        for row in range(first_row, end_row):
            for column in range(first_column, end_column):
                if _lies_on(x0, y0, x1, y1, x2, y2, column + 0.5, row + 0.5):
                    if count < place.size:
                        place[count], face[count] = row * size + column, f
                    count += 1
    return count


@njit(cache=True, nogil=True)
def _rasterize(uvs, top, bottom, face, barycentric):
    """Draws the rows from ``top`` to before ``bottom``; the last triangle on a texel wins."""
    size = face.shape[0]
    for f in range(uvs.shape[0]):
        x0, y0, x1, y1, x2, y2 = _corners(uvs[f], size)
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        if area == 0:
            continue
        first_row, end_row = _texels(y0, y1, y2, size)
        first_row, end_row = max(first_row, top), min(end_row, bottom)
        first_column, end_column = _texels(x0, x1, x2, size)
        for row in range(first_row, end_row):
            for column in range(first_column, end_column):
                # Barycentric weights of the first two corners.
                px, py = column + 0.5, row + 0.5
                w0 = ((x1 - px) * (y2 - py) - (y1 - py) * (x2 - px)) / area
                w1 = ((x2 - px) * (y0 - py) - (y2 - py) * (x0 - px)) / area
                if w0 >= -1e-6 and w1 >= -1e-6 and w0 + w1 <= 1 + 1e-6:
                    face[row, column] = f
                    barycentric[row, column, 0] = w0
                    barycentric[row, column, 1] = w1
