"""Polygons to triangles: a fan where that is right, ears where the polygon is concave."""

import numpy as np
from numba import njit


def triangulate(points: np.ndarray, corners: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The triangles of polygons, convex or concave, in their order. What has fewer than three corners, a line
    or a point, has none.

    Args:
        points: (P, 3) float32 positions.
        corners: (C,) int32 point of each corner, polygon after polygon.
        counts: (G,) int32 corners of each polygon.

    Returns:
        (T, 3) int32 indices of ``corners``, wound as the polygon is.

    Raises:
        ValueError: a corner points at no point.
    """
    if len(corners) and (corners.min() < 0 or corners.max() >= len(points)):
        raise ValueError("a face points at a vertex that does not exist")
    counts = np.asarray(counts, np.int64)
    first = np.cumsum(counts) - counts
    if (counts == 3).all():
        return np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    triangles = np.empty((int(np.maximum(counts - 2, 0).sum()), 3), np.int32)
    _cut_polygons(np.asarray(points, np.float64), np.asarray(corners, np.int64), first, counts, triangles)
    return triangles


@njit(cache=True, nogil=True)
def _cut_polygons(points, corners, first, counts, triangles):
    """Writes the triangles (T, 3) of all polygons."""
    end = 0
    for polygon in range(len(counts)):
        start, count = first[polygon], counts[polygon]
        if count < 3:
            continue
        flat = _project(points, corners[start : start + count])
        if count == 3 or _is_convex(flat):
            for k in range(1, count - 1):
                triangles[end] = (start, start + k, start + k + 1)
                end += 1
        else:
            end = _cut_ears(flat, start, triangles, end)


@njit(cache=True, nogil=True)
def _project(points, corners):
    """(n, 2): a polygon's corners in the coordinate plane nearest to its own, counter-clockwise."""
    count = len(corners)
    # Newell's normal, which a concave polygon and one out of plane have, too.
    normal = np.zeros(3)
    origin = points[corners[0]]
    for k in range(count):
        a, b = points[corners[k]] - origin, points[corners[(k + 1) % count]] - origin
        normal[0] += a[1] * b[2] - a[2] * b[1]
        normal[1] += a[2] * b[0] - a[0] * b[2]
        normal[2] += a[0] * b[1] - a[1] * b[0]
    axis = np.argmax(np.abs(normal))
    u, v = (axis + 1) % 3, (axis + 2) % 3
    if normal[axis] < 0:
        u, v = v, u
    flat = np.empty((count, 2))
    for k in range(count):
        flat[k, 0] = points[corners[k]][u] - origin[u]
        flat[k, 1] = points[corners[k]][v] - origin[v]
    return flat


@njit(cache=True, nogil=True)
def _cross(a, b, c):
    """Twice the area of a triangle, positive if it is counter-clockwise."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


@njit(cache=True, nogil=True)
def _is_convex(flat):
    """Whether no corner turns clockwise and the polygon goes around once."""
    count = len(flat)
    for k in range(count):
        if _cross(flat[k], flat[(k + 1) % count], flat[(k + 2) % count]) < 0:
            return False
    # A star turns one way, too, but triangles of its fan are turned over.
    turned_over = 0
    for k in range(1, count - 1):
        turned_over += _cross(flat[0], flat[k], flat[k + 1]) < 0
    return turned_over == 0


@njit(cache=True, nogil=True)
def _cut_ears(flat, start, triangles, end):
    """Cuts a triangle off a polygon until three corners are left; returns where its triangles end.

    A polygon that crosses itself may have no ear left; a corner is then cut off all the same.
    """
    left = np.arange(len(flat))
    count = len(flat)
    at, tried = 1, 0
    while count > 3:
        before, here, after = left[(at - 1) % count], left[at], left[(at + 1) % count]
        if tried < count and not _is_ear(flat, left[:count], before, here, after):
            at, tried = (at + 1) % count, tried + 1
            continue
        triangles[end] = (start + before, start + here, start + after)
        end += 1
        left[at : count - 1] = left[at + 1 : count].copy()
        count, tried = count - 1, 0
        at %= count
    triangles[end] = (start + left[0], start + left[1], start + left[2])
    return end + 1


@njit(cache=True, nogil=True)
def _is_ear(flat, left, before, here, after):
    """Whether a corner turns counter-clockwise and no other corner lies in its triangle."""
    a, b, c = flat[before], flat[here], flat[after]
    if _cross(a, b, c) <= 0:
        return False
    for k in left:
        p = flat[k]
        if k in (before, here, after):
            continue
        # A bridge to a hole has corners twice in one place.
        if (p == a).all() or (p == b).all() or (p == c).all():
            continue
        if _cross(a, b, p) >= 0 and _cross(b, c, p) >= 0 and _cross(c, a, p) >= 0:
            return False
    return True
