"""The flexible dual grid of a mesh: the form in which TRELLIS.2's shape encoder reads one (Xiang et al. 2025,
O-Voxel).

A cell is occupied if the surface crosses one of its twelve edges. Its dual vertex is the place in it that
lies nearest to the planes of the triangles there and, where the mesh ends, to the mesh's border.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from ...mesh.edges import border_edges
from ...mesh.surface import triangle_normals
from ..voxel_grid import VoxelGrid, column_starts, find_cell
from .crossings import iterate_crossings, iterate_overlaps, iterate_segment_cells
from .quadrics import COEFFICIENTS, add_line, add_plane, add_point, minimize_quadrics

SHRINK = np.float32(0.99999)
"""Keeps the longest side's ends inside the grid, as in the model's training. It moves no vertex by more than
0.005 cells of 1024."""

BORDER_WEIGHT = 0.2
"""Of the squared distance to the mesh's border, against 1 of that to a plane."""

POINT_WEIGHT = 0.01
"""Of the squared distance to each crossing: where planes alone do not fix a vertex."""

SHORTEST = 1e-6
"""Border edges shorter than this, in units of the grid's side, are left out."""

SLABS = 64
"""That the grid is cut into along x; a core works on one at a time, and keeps a byte per cell of it."""

OCCUPIED = 8
"""Bit of a cell's mark; bits 0 to 2 say which of its edges are crossed."""


@dataclass(frozen=True)
class DualGrid(VoxelGrid):
    """Occupied cells in ascending order of x, then y, then z.

    Attributes:
        offsets: (N, 3) float32 the dual vertex in each cell, 0..1 from the cell's low to its high corner.
        crossed: (N, 3) bool, whether the surface crosses the cell's edge along x, y, z: of the four edges
            along an axis the one at the high end of the other two.
    """

    offsets: np.ndarray
    crossed: np.ndarray


def dual_grid(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> DualGrid:
    """The dual grid of a mesh, worked out by all cores.

    Args:
        vertices: (V, 3) float32 in -0.5..0.5, welded: an edge that only one face uses counts as the mesh's
            border. They are shrunk by :data:`SHRINK` first.
        faces: (F, 3) int32.
        resolution: cells along each side.
    """
    return dual_grid_in_unit_cube(vertices.astype(np.float32) * SHRINK + np.float32(0.5), faces, resolution)


def dual_grid_in_unit_cube(points: np.ndarray, faces: np.ndarray, resolution: int) -> DualGrid:
    """Like :func:`dual_grid`, for vertices (V, 3) float32 that lie in 0..1 and are taken as they are."""
    scaled = points.astype(np.float64) * resolution
    corners, normals = scaled[faces], triangle_normals(points, faces).astype(np.float64)
    border = scaled[border_edges(faces)]
    border = border[np.linalg.norm(border[:, 1] - border[:, 0], axis=1) >= SHORTEST * resolution]
    low, high = (end(corners[..., 0], axis=1) for end in (np.min, np.max))
    thickness = -(-resolution // SLABS)

    def slab(first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        last = min(first + thickness, resolution)
        inside = np.flatnonzero((low <= last) & (high >= first))
        return _slab(corners[inside], normals[inside], border, resolution, first, last)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cells, offsets, crossed = (
            np.concatenate(parts)
            for parts in zip(*pool.map(slab, range(0, resolution, thickness)), strict=True)
        )
    return DualGrid(cells, resolution, offsets, crossed)


def _slab(corners, normals, border, resolution, first, last) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells, offsets and crossed of the slab from ``first`` to before ``last`` along x."""
    marks = np.zeros((last - first, resolution, resolution), np.uint8)
    _mark(corners, first, last, marks)
    place = np.flatnonzero(marks.ravel().view(bool))
    column, heights = np.divmod(place, resolution)
    starts = column_starts(column, marks.shape[0] * resolution)
    quadrics, offsets = np.zeros((len(place), COEFFICIENTS)), np.empty((len(place), 3), np.float32)
    _add_crossings(corners, normals, starts, heights, resolution, first, last, quadrics)
    _add_faces(corners, normals, starts, heights, resolution, first, last, quadrics)
    _add_border(border, starts, heights, resolution, first, last, quadrics)
    minimize_quadrics(quadrics, offsets)
    cells = np.column_stack([first + column // resolution, column % resolution, heights]).astype(np.int32)
    return cells, offsets, (marks.ravel()[place, None] & np.uint8([1, 2, 4])) > 0


@njit(cache=True, nogil=True)
def _mark(corners, first, last, marks):
    cell, resolution = np.empty(3, np.int64), marks.shape[1]
    for f in range(len(corners)):
        for axis in range(3):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            for column, row, place in iterate_crossings(
                corners[f, 0], corners[f, 1], corners[f, 2], axis, resolution, first, last
            ):
                cell[axis] = int(place)
                for corner in range(4):
                    cell[u], cell[v] = column - (corner & 1), row - (corner >> 1)
                    if first <= cell[0] < last:
                        marks[cell[0] - first, cell[1], cell[2]] |= OCCUPIED | (
                            (1 << axis) if corner == 3 else 0
                        )


@njit(cache=True, nogil=True)
def _add_crossings(corners, normals, starts, heights, resolution, first, last, quadrics):
    """Every crossing pulls the four cells around its edge towards the triangle's plane and, a little, towards
    itself."""
    cell, point = np.empty(3, np.int64), np.empty(3)
    for f in range(len(corners)):
        a, b, c, n = corners[f, 0], corners[f, 1], corners[f, 2], normals[f]
        for axis in range(3):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            for column, row, place in iterate_crossings(a, b, c, axis, resolution, first, last):
                point[u], point[v], point[axis] = column, row, place
                cell[axis] = int(place)
                for corner in range(4):
                    cell[u], cell[v] = column - (corner & 1), row - (corner >> 1)
                    if first <= cell[0] < last:
                        index = find_cell(starts, heights, (cell[0] - first) * resolution + cell[1], cell[2])
                        add_point(quadrics, index, POINT_WEIGHT, point, cell)
                        add_plane(quadrics, index, n, a, cell)


@njit(cache=True, nogil=True)
def _add_faces(corners, normals, starts, heights, resolution, first, last, quadrics):
    """Every triangle pulls the occupied cells that it overlaps towards its plane."""
    for f in range(len(corners)):
        a, b, c, n = corners[f, 0], corners[f, 1], corners[f, 2], normals[f]
        for cell in iterate_overlaps(a, b, c, n, resolution, first, last):
            index = find_cell(starts, heights, (cell[0] - first) * resolution + cell[1], cell[2])
            if index >= 0:
                add_plane(quadrics, index, n, a, cell)


@njit(cache=True, nogil=True)
def _add_border(border, starts, heights, resolution, first, last, quadrics):
    """Every edge of the mesh's border pulls the occupied cells that it passes through towards its line."""
    for e in range(len(border)):
        start, end = border[e, 0], border[e, 1]
        if max(start[0], end[0]) < first or min(start[0], end[0]) > last:
            continue
        direction = (end - start) / np.sqrt(((end - start) ** 2).sum())
        for cell in iterate_segment_cells(start, end):
            if first <= cell[0] < last and 0 <= cell[1] < resolution and 0 <= cell[2] < resolution:
                index = find_cell(starts, heights, (cell[0] - first) * resolution + cell[1], cell[2])
                if index >= 0:
                    add_line(quadrics, index, BORDER_WEIGHT, direction, start, cell)
