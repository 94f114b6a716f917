"""The flexible dual grid of a mesh: the form in which TRELLIS.2's shape encoder reads one (Xiang et al. 2025,
O-Voxel; docs/models/trellis2.md#the-dual-grid).

A cell is occupied if the surface crosses one of its twelve edges. Its dual vertex is the position in it with
the least squared distance to the planes of the triangles there and, where the mesh ends, to the mesh's
border.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ...mesh.edges import border_edges
from ...mesh.surface import triangle_normals
from ...parallel import map_parallel
from ..voxel_grid import VoxelGrid, column_starts, find_cell
from .crossings import iterate_crossings, iterate_overlaps, iterate_segment_cells
from .quadrics import COEFFICIENTS, add_line, add_plane, add_point, minimize_quadrics

GRID_SHRINK = np.float32(0.99999)
"""Factor that keeps the ends of the mesh's longest side inside the grid, as in the model's training. It moves
no vertex by more than 0.005 cells of 1024."""

BORDER_WEIGHT = 0.2
"""Weight of the squared distance to the mesh's border; that to a plane has 1. TRELLIS.2's own number."""

POINT_WEIGHT = 0.01
"""Weight of the squared distance to each crossing, which fixes a vertex where planes alone do not."""

MIN_BORDER_EDGE = 1e-6
"""Length, in units of the grid's side, below which an edge of the border is ignored."""

SLAB_COUNT = 64
"""Number of slabs along x into which the grid is cut; one core works on a slab and needs a byte per cell of
it."""

OCCUPIED_BIT = 8
"""Bit of a cell's mark for an occupied cell; bits 0 to 2 stand for its crossed edges along x, y and z."""


@dataclass(frozen=True)
class DualGrid(VoxelGrid):
    """Occupied cells in ascending order of x, then y, then z.

    Attributes:
        offsets: (N, 3) float32 position of the dual vertex in each cell, 0..1 from its low to its high
            corner.
        crossed: (N, 3) bool, whether the surface crosses the cell's edge along x, y, z; of the four edges
            along an axis, the one at the high end of the other two.
    """

    offsets: np.ndarray
    crossed: np.ndarray


def dual_grid(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> DualGrid:
    """The dual grid of a mesh, computed on all cores.

    Args:
        vertices: (V, 3) float32 in -0.5..0.5, welded: an edge with only one face counts as the mesh's
            border. They are first shrunk by :data:`GRID_SHRINK`.
        faces: (F, 3) int32.
        resolution: cells along each side.
    """
    return dual_grid_in_unit_cube(
        vertices.astype(np.float32) * GRID_SHRINK + np.float32(0.5), faces, resolution
    )


def dual_grid_in_unit_cube(points: np.ndarray, faces: np.ndarray, resolution: int) -> DualGrid:
    """Like :func:`dual_grid`, for vertices (V, 3) float32 in 0..1, which are not shrunk."""
    scaled = points.astype(np.float64) * resolution
    corners, normals = scaled[faces], triangle_normals(points, faces).astype(np.float64)
    border = scaled[border_edges(faces)]
    border = border[np.linalg.norm(border[:, 1] - border[:, 0], axis=1) >= MIN_BORDER_EDGE * resolution]
    low, high = (end(corners[..., 0], axis=1) for end in (np.min, np.max))
    thickness = -(-resolution // SLAB_COUNT)

    def build_slab(first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        last = min(first + thickness, resolution)
        inside = np.flatnonzero((low <= last) & (high >= first))
        return _build_slab(corners[inside], normals[inside], border, resolution, first, last)

    slabs = map_parallel(build_slab, range(0, resolution, thickness))
    cells, offsets, crossed = (np.concatenate(arrays) for arrays in zip(*slabs, strict=True))
    return DualGrid(cells, resolution, offsets, crossed)


def _build_slab(
    corners, normals, border, resolution, first, last
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells, offsets and crossed of the slab from ``first`` to before ``last`` along x."""
    # Occupied cells, from a dense mark per cell.
    marks = np.zeros((last - first, resolution, resolution), np.uint8)
    _mark_cells(corners, first, last, marks)
    occupied = np.flatnonzero(marks.ravel().view(bool))
    column, heights = np.divmod(occupied, resolution)
    starts = column_starts(column, marks.shape[0] * resolution)
    # Dual vertices, each the minimum of its cell's quadric.
    quadrics, offsets = np.zeros((len(occupied), COEFFICIENTS)), np.empty((len(occupied), 3), np.float32)
    _add_crossings(corners, normals, starts, heights, resolution, first, last, quadrics)
    _add_faces(corners, normals, starts, heights, resolution, first, last, quadrics)
    _add_border(border, starts, heights, resolution, first, last, quadrics)
    minimize_quadrics(quadrics, offsets)
    cells = np.column_stack([first + column // resolution, column % resolution, heights]).astype(np.int32)
    return cells, offsets, (marks.ravel()[occupied, None] & np.uint8([1, 2, 4])) > 0


@njit(cache=True, nogil=True)
def _mark_cells(corners, first, last, marks):
    """Marks the four cells around every crossed edge as occupied, and the edge itself in the first of
    them."""
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
                        marks[cell[0] - first, cell[1], cell[2]] |= OCCUPIED_BIT | (
                            (1 << axis) if corner == 3 else 0
                        )


@njit(cache=True, nogil=True)
def _add_crossings(corners, normals, starts, heights, resolution, first, last, quadrics):
    """Adds to the four cells around every crossed edge the distance to the triangle's plane and, with a small
    weight, to the crossing."""
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
    """Adds to the occupied cells that a triangle overlaps the distance to its plane."""
    for f in range(len(corners)):
        a, b, c, n = corners[f, 0], corners[f, 1], corners[f, 2], normals[f]
        for cell in iterate_overlaps(a, b, c, n, resolution, first, last):
            index = find_cell(starts, heights, (cell[0] - first) * resolution + cell[1], cell[2])
            if index >= 0:
                add_plane(quadrics, index, n, a, cell)


@njit(cache=True, nogil=True)
def _add_border(border, starts, heights, resolution, first, last, quadrics):
    """Adds to the occupied cells that an edge of the mesh's border passes through the distance to its
    line."""
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
