"""UV layouts: which texel lies on which triangle, and whether a layout can carry a texture."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from .tiles import MOST_TILES, atlas_size, gather, keeps_to_tiles

OVERLAP_TOLERANCE = 0.002
"""Share of covered texels that may lie on two triangles: rounding at island borders, not stacked islands."""


def why_unusable(corner_uvs: np.ndarray | None) -> str | None:
    """Why a layout (F, 3, 2) cannot carry a texture, as the end of a sentence; None when it can."""
    if corner_uvs is None:
        return "the mesh has no UV map"
    if not np.isfinite(corner_uvs).all():
        return "the active UV map holds NaN or infinite values"
    if not keeps_to_tiles(corner_uvs):
        return (
            "the active UV map leaves the 0 to 1 square, and faces lie across its border or outside the "
            "UDIM tiles"
        )
    atlas, tiles = gather(corner_uvs)
    if len(tiles) > MOST_TILES:
        return f"the active UV map spreads over {len(tiles):,} UDIM tiles, and {MOST_TILES} are the most"
    edges = corner_uvs[:, 1:] - corner_uvs[:, :1]
    flat = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) < 1e-12
    if flat.mean() > 0.01:
        return "the active UV map folds faces to a point or a line"
    covered, shared = count_overlaps(atlas, atlas_size(tiles, 1024))
    if covered == 0:
        return "the active UV map is too small to hold a texture"
    if shared > OVERLAP_TOLERANCE * covered:
        return "faces overlap in the active UV map"
    return None


def count_overlaps(corner_uvs: np.ndarray, size: int) -> tuple[int, int]:
    """``(covered, shared)``: texels of a ``size`` square that lie on one triangle or more, and on two or
    more."""
    hits = np.zeros((size, size), np.uint8)
    _count(corner_uvs, hits)
    return int((hits > 0).sum()), int((hits > 1).sum())


def rasterize_atlas(corner_uvs: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which triangle each texel centre lies on, worked out by all cores.

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
    rows = np.linspace(0, size, (os.cpu_count() or 1) + 1).astype(np.int64)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda first, end: _rasterize(uvs, first, end, face, barycentric), rows[:-1], rows[1:]))
    return face, barycentric


@njit(cache=True, nogil=True)
def _corners(uv, size):
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
    value = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    if value != 0:
        return value > 0
    # Of two triangles that share an edge exactly one owns the texel centres on it.
    return by > ay or (by == ay and bx < ax)


@njit(cache=True, nogil=True)
def _texels(a, b, c, size):
    low = max(0, int(np.ceil(min(a, b, c) - 0.5)))
    high = min(size - 1, int(np.floor(max(a, b, c) - 0.5)))
    return low, high + 1


@njit(cache=True, nogil=True)
def _count(uvs, hits):
    size = hits.shape[0]
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
                px, py = column + 0.5, row + 0.5
                if (
                    hits[row, column] < 2
                    and _inside(x0, y0, x1, y1, px, py)
                    and _inside(x1, y1, x2, y2, px, py)
                    and _inside(x2, y2, x0, y0, px, py)
                ):
                    hits[row, column] += 1


@njit(cache=True, nogil=True)
def _rasterize(uvs, top, bottom, face, barycentric):
    """The rows from ``top`` to before ``bottom``."""
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
                px, py = column + 0.5, row + 0.5
                w0 = ((x1 - px) * (y2 - py) - (y1 - py) * (x2 - px)) / area
                w1 = ((x2 - px) * (y0 - py) - (y2 - py) * (x0 - px)) / area
                if w0 >= -1e-6 and w1 >= -1e-6 and w0 + w1 <= 1 + 1e-6:
                    face[row, column] = f
                    barycentric[row, column, 0] = w0
                    barycentric[row, column, 1] = w1
