"""Where a mesh meets a grid: lines that triangles cross, cells that triangles overlap, cells that segments
pass through.

Lengths are in cells, the grid's corner is 0. Every walk keeps to a slab, the cells whose x is ``first`` to
before ``last``, so that slabs can be worked out beside each other.

The walks are generators, which numba cannot read back from its cache; their callers it can. It compiles a
caller anew when the caller's file changes, not when this one does: whoever edits here deletes
``__pycache__``.
"""

import numpy as np
from numba import njit

from ...mesh.voxels import edge_misses


@njit(nogil=True)
def iterate_crossings(a, b, c, axis, resolution, first, last):
    """The grid lines along ``axis`` that a triangle crosses, as ``(column, row, place)``: the line's node in
    the other two axes, and where.

    A scan line over the triangle seen along the axis. A node on its low side is out, one on its high side in,
    so that of two triangles that share an edge one is crossed there. The order of the operations is
    TRELLIS.2's, which decides where a crossing is a tie.
    """
    u, v = (axis + 1) % 3, (axis + 2) % 3
    if b[v] < a[v]:
        a, b = b, a
    if c[v] < b[v]:
        b, c = c, b
    if b[v] < a[v]:
        a, b = b, a
    begin, turn, end = _cell(a[v], resolution), _cell(b[v], resolution), _cell(c[v], resolution)
    if v == 0:
        begin, end = max(begin, first - 1), min(end, last)
    for row in range(begin + 1, end + 1):
        if row <= turn:
            x, p = _between(a, b, row, u, v, axis)
            y, q = _between(a, c, row, u, v, axis)
        else:
            x, p = _between(c, b, row, u, v, axis)
            y, q = _between(c, a, row, u, v, axis)
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
    return min(max(int(x), 0), resolution - 1)


@njit(cache=True, nogil=True)
def _between(a, b, row, u, v, w):
    """Coordinates u and w of the place on the line from a to b where v is ``row``."""
    t = (row - a[v]) / (b[v] - a[v]) if b[v] != a[v] else 0.0
    return (1 - t) * a[u] + t * b[u], (1 - t) * a[w] + t * b[w]


@njit(nogil=True)
def iterate_overlaps(a, b, c, n, resolution, first, last):
    """The cells ``(x, y, z)`` that a triangle with normal n touches or overlaps (Schwarz and Seidel 2010,
    section 4); none if n is zero."""
    w = 0
    for axis in range(1, 3):
        if abs(n[axis]) > abs(n[w]):
            w = axis
    if n[w] == 0:
        return
    u, v = (w + 1) % 3, (w + 2) % 3
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
            # Over the cell's square the plane's height lies within reach of the middle.
            middle = a[w] - (n[u] * (i + 0.5 - a[u]) + n[v] * (j + 0.5 - a[v])) / n[w]
            for k in range(
                max(low[w], int(np.ceil(middle - reach)) - 1), min(high[w], int(np.floor(middle + reach)) + 1)
            ):
                if not (edge_misses(a, b, c, v, w, j, k) or edge_misses(a, b, c, w, u, k, i)):
                    cell[u], cell[v], cell[w] = i, j, k
                    yield cell[0], cell[1], cell[2]


@njit(nogil=True)
def iterate_segment_cells(start, end):
    """The cells ``(x, y, z)`` that a segment passes through, from side to side (Amanatides and Woo 1987)."""
    cell, step, following, pace = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3), np.empty(3)
    for axis in range(3):
        way = end[axis] - start[axis]
        cell[axis] = int(np.floor(start[axis]))
        step[axis] = 1 if way > 0 else -1
        pace[axis] = 1 / abs(way) if way != 0 else np.inf
        side = cell[axis] + 1 - start[axis] if way > 0 else start[axis] - cell[axis]
        following[axis] = side * pace[axis] if way != 0 else np.inf
    while True:
        yield cell[0], cell[1], cell[2]
        axis = 0
        for other in range(1, 3):
            if following[other] < following[axis]:
                axis = other
        if following[axis] > 1:
            return
        cell[axis] += step[axis]
        following[axis] += pace[axis]
