"""Intersections of a mesh with a grid: grid lines that triangles cross, cells that triangles overlap, cells
that segments pass through.

Lengths are in cells; the grid's low corner is the origin. Every traversal stays within a slab, the cells
whose x is ``first`` to before ``last``, so that slabs can be processed in parallel.

The traversals are generators, which numba cannot cache; it caches their callers. It recompiles a caller when
the caller's file changes, not when this one does: after an edit here, delete ``__pycache__``.
"""

import numpy as np
from numba import njit

from ...mesh.voxels import edge_misses


@njit(nogil=True)
def iterate_crossings(a, b, c, axis, resolution, first, last):
    """The grid lines along ``axis`` that a triangle crosses, as ``(column, row, place)``: the line's node in
    the other two axes, and the crossing's coordinate along it.

    Scan-line rasterisation of the triangle seen along the axis. Half-open rule: a node on its low side is
    outside, one on its high side inside, so that of two triangles that share an edge exactly one is crossed
    there. The order of the operations is TRELLIS.2's, since rounding decides ties.
    """
    u, v = (axis + 1) % 3, (axis + 2) % 3
    # Sort the corners along v.
    if b[v] < a[v]:
        a, b = b, a
    if c[v] < b[v]:
        b, c = c, b
    if b[v] < a[v]:
        a, b = b, a
    # Rows of the three corners; at the middle one the scan line changes from edge ab to bc.
    begin, middle, end = _cell(a[v], resolution), _cell(b[v], resolution), _cell(c[v], resolution)
    if v == 0:
        begin, end = max(begin, first - 1), min(end, last)
    for row in range(begin + 1, end + 1):
        if row <= middle:
            x, p = _interpolate_edge(a, b, row, u, v, axis)
            y, q = _interpolate_edge(a, c, row, u, v, axis)
        else:
            x, p = _interpolate_edge(c, b, row, u, v, axis)
            y, q = _interpolate_edge(c, a, row, u, v, axis)
        # The span from x to y on this row, where the coordinate along the axis goes from p to q.
        if y < x:
            x, p, y, q = y, q, x, p
        left, right = _cell(x, resolution), _cell(y, resolution)
        if u == 0:
            left, right = max(left, first - 1), min(right, last)
        for column in range(left + 1, right + 1):
            t = (column - x) / (y - x) if y != x else 0.0
            place = (1 - t) * p + t * q
            cell = int(place)
            if 0 <= cell < resolution and (axis != 0 or first <= cell < last):
                yield column, row, place


@njit(cache=True, nogil=True)
def _cell(x, resolution):
    """The cell of a coordinate, clamped to the grid."""
    return min(max(int(x), 0), resolution - 1)


@njit(cache=True, nogil=True)
def _interpolate_edge(a, b, row, u, v, w):
    """Coordinates u and w of the point on the line from a to b where v is ``row``."""
    t = (row - a[v]) / (b[v] - a[v]) if b[v] != a[v] else 0.0
    return (1 - t) * a[u] + t * b[u], (1 - t) * a[w] + t * b[w]


@njit(nogil=True)
def iterate_overlaps(a, b, c, n, resolution, first, last):
    """The cells ``(x, y, z)`` that a triangle with normal n touches or overlaps (Schwarz and Seidel 2010,
    section 4); none if n is zero."""
    # w: the axis along which the normal is largest.
    w = 0
    for axis in range(1, 3):
        if abs(n[axis]) > abs(n[w]):
            w = axis
    if n[w] == 0:
        return
    u, v = (w + 1) % 3, (w + 2) % 3
    # The triangle's box, within grid and slab.
    low, high = np.zeros(3, np.int64), np.full(3, resolution)
    low[0], high[0] = first, last
    for axis in range(3):
        low[axis] = max(low[axis], int(min(a[axis], b[axis], c[axis])))
        high[axis] = min(high[axis], int(max(a[axis], b[axis], c[axis])) + 1)
    cell = np.empty(3, np.int64)
    reach = 0.5 * (abs(n[u]) + abs(n[v])) / abs(n[w])
    for i in range(low[u], high[u]):
        for j in range(low[v], high[v]):
            if edge_misses(a, b, c, u, v, i, j):
                continue
            # Over the cell's square the plane's height lies within reach of its height in the middle.
            middle = a[w] - (n[u] * (i + 0.5 - a[u]) + n[v] * (j + 0.5 - a[v])) / n[w]
            for k in range(
                max(low[w], int(np.ceil(middle - reach)) - 1), min(high[w], int(np.floor(middle + reach)) + 1)
            ):
                if not (edge_misses(a, b, c, v, w, j, k) or edge_misses(a, b, c, w, u, k, i)):
                    cell[u], cell[v], cell[w] = i, j, k
                    yield cell[0], cell[1], cell[2]


@njit(nogil=True)
def iterate_segment_cells(start, end):
    """The cells ``(x, y, z)`` that a segment passes through, in order (voxel traversal, Amanatides and Woo
    1987)."""
    # Their names: t_max is where along the segment (0..1) the next cell begins, t_delta what a cell takes of
    # it.
    cell, step, t_max, t_delta = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3), np.empty(3)
    for axis in range(3):
        length = end[axis] - start[axis]
        cell[axis] = int(np.floor(start[axis]))
        step[axis] = 1 if length > 0 else -1
        t_delta[axis] = 1 / abs(length) if length != 0 else np.inf
        to_side = cell[axis] + 1 - start[axis] if length > 0 else start[axis] - cell[axis]
        t_max[axis] = to_side * t_delta[axis] if length != 0 else np.inf
    while True:
        yield cell[0], cell[1], cell[2]
        # Step over the side that comes first.
        axis = 0
        for other in range(1, 3):
            if t_max[other] < t_max[axis]:
                axis = other
        if t_max[axis] > 1:
            return
        cell[axis] += step[axis]
        t_max[axis] += t_delta[axis]
