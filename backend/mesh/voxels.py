"""The voxels that a surface passes through, by exact triangle/box overlap (Schwarz and Seidel 2010, section
4)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from .surface import Surface, triangle_areas

POINTS = 1 << 17
"""That one core works on at once."""


@dataclass(frozen=True)
class Voxels:
    """Occupied cells of a cubic grid over normalised space, in ascending order of their key.

    Attributes:
        resolution: cells along each side; the grid spans -0.5 to 0.5.
        cells: (N, 3) int32 cell indices.
        positions: (N, 3) float32 a point of the surface in each cell, or very near it.
        normals: (N, 3) float32 unit normal, mean over the triangles in the cell.
        edges: (E, 2) int32 pairs of cells that share a side.
        face: (N,) int32, one of the triangles in each cell.
    """

    resolution: int
    cells: np.ndarray
    positions: np.ndarray
    normals: np.ndarray
    edges: np.ndarray
    face: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def grid(self) -> np.ndarray:
        """(R, R, R) int32 index of the voxel in each cell, -1 where it is empty."""
        grid = np.full((self.resolution,) * 3, -1, np.int32)
        grid[tuple(self.cells.T)] = np.arange(len(self), dtype=np.int32)
        return grid

    def index_of(self, points: np.ndarray) -> np.ndarray:
        """(M,) int32 index of the voxel that holds each point (M, 3), -1 where the cell is empty."""
        return _index_of(self.grid, points)


def interpolate(voxels: Voxels, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(M, C) float32 at points (M, 3): trilinear mean of values (N, C) over the occupied ones of a point's
    eight nearest cells, else 0."""
    result, grid = np.zeros((len(points), values.shape[1]), np.float32), voxels.grid
    parts = [slice(start, start + POINTS) for start in range(0, len(points), POINTS)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda part: _interpolate(grid, values, points[part], result[part]), parts))
    return result


def voxelize(surface: Surface, resolution: int) -> Voxels:
    """The surface's voxels."""
    # A face on the grid's far side belongs to the last cell, not to one beyond.
    corners = np.clip(
        (surface.vertices[surface.faces].astype(np.float64) + 0.5) * resolution, 0, resolution - 1e-6
    )
    counts = np.zeros(len(corners) + 1, np.int64)
    _overlaps(corners, resolution, counts[1:], np.empty(0, np.int64), counts)
    starts = np.cumsum(counts)
    keys = np.empty(starts[-1], np.int64)
    _overlaps(corners, resolution, np.empty(0, np.int64), keys, starts)
    face = np.repeat(np.arange(len(corners)), np.diff(starts))

    unique, inverse = np.unique(keys, return_inverse=True)
    cells = np.stack(np.unravel_index(unique, (resolution,) * 3), axis=1).astype(np.int32)
    weight = np.minimum(triangle_areas(surface.vertices, surface.faces) * resolution**2, 1.0)[face] + 1e-6
    normals = _mean(surface.face_normals[face], weight, inverse, len(unique))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    centres = (cells + 0.5) / resolution - 0.5
    height = np.einsum(
        "nx,nx->n", surface.vertices[surface.faces[face, 0]] - centres[inverse], surface.face_normals[face]
    )
    offsets = _mean(surface.face_normals[face] * height[:, None], weight, inverse, len(unique))
    offsets = np.clip(offsets, -0.5 / resolution, 0.5 / resolution)
    one = np.empty(len(unique), np.int32)
    one[inverse] = face
    return Voxels(
        resolution,
        cells,
        (centres + offsets).astype(np.float32),
        normals.astype(np.float32),
        side_neighbours(cells, resolution),
        one,
    )


def keys_of(cells: np.ndarray, resolution: int) -> np.ndarray:
    """(N,) int64: one number per cell (N, 3), ascending in x, then y, then z."""
    return (cells[:, 0].astype(np.int64) * resolution + cells[:, 1]) * resolution + cells[:, 2]


def cell_of(points: np.ndarray, resolution: int) -> np.ndarray:
    """(N, 3) int64 cell that holds each point (N, 3)."""
    return np.clip(np.floor((points + 0.5) * resolution), 0, resolution - 1).astype(np.int64)


def lookup(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(M,) int64 place of each wanted key among ascending keys, -1 where it is missing."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def side_neighbours(cells: np.ndarray, resolution: int) -> np.ndarray:
    """(E, 2) int32 pairs of cells that share a side; the keys of ``cells`` must ascend."""
    keys = keys_of(cells, resolution)
    pairs = []
    for axis, step in enumerate((resolution * resolution, resolution, 1)):
        inner = np.flatnonzero(cells[:, axis] < resolution - 1)
        other = lookup(keys, keys[inner] + step)
        pairs.append(np.stack([inner[other >= 0], other[other >= 0]], axis=1))
    return np.concatenate(pairs).astype(np.int32)


def _mean(values, weight, inverse, count):
    total = np.stack(
        [np.bincount(inverse, values[:, axis] * weight, count) for axis in range(values.shape[1])], axis=1
    )
    return total / np.bincount(inverse, weight, count)[:, None]


@njit(cache=True, nogil=True)
def _index_of(grid, points):
    last = grid.shape[0] - 1
    result = np.empty(points.shape[0], np.int32)
    for k in range(points.shape[0]):
        i, j, h = (
            int((points[k, 0] + 0.5) * (last + 1)),
            int((points[k, 1] + 0.5) * (last + 1)),
            int((points[k, 2] + 0.5) * (last + 1)),
        )
        result[k] = grid[min(max(i, 0), last), min(max(j, 0), last), min(max(h, 0), last)]
    return result


@njit(cache=True, nogil=True)
def _interpolate(grid, values, points, result):
    last = grid.shape[0] - 1
    for k in range(points.shape[0]):
        x, y, z = (
            (points[k, 0] + 0.5) * (last + 1) - 0.5,
            (points[k, 1] + 0.5) * (last + 1) - 0.5,
            (points[k, 2] + 0.5) * (last + 1) - 0.5,
        )
        x0, y0, z0 = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        total = 0.0
        for corner in range(8):
            i, j, h = corner & 1, (corner >> 1) & 1, corner >> 2
            cell = grid[min(max(x0 + i, 0), last), min(max(y0 + j, 0), last), min(max(z0 + h, 0), last)]
            if cell >= 0:
                weight = abs(1 - i - (x - x0)) * abs(1 - j - (y - y0)) * abs(1 - h - (z - z0)) + 1e-9
                total += weight
                for c in range(values.shape[1]):
                    result[k, c] += weight * values[cell, c]
        if total > 0:
            for c in range(values.shape[1]):
                result[k, c] /= total


@njit(cache=True, nogil=True)
def edge_misses(a, b, c, i, j, u, v):
    """Whether the unit square at (u, v) lies outside triangle (a, b, c) projected on axes (i, j)."""
    area = (b[i] - a[i]) * (c[j] - a[j]) - (b[j] - a[j]) * (c[i] - a[i])
    if area == 0:
        return False
    sign = 1.0 if area > 0 else -1.0
    for p, q in ((a, b), (b, c), (c, a)):
        nu, nv = -(q[j] - p[j]) * sign, (q[i] - p[i]) * sign
        corner = nu * (u + (1.0 if nu > 0 else 0.0) - p[i]) + nv * (v + (1.0 if nv > 0 else 0.0) - p[j])
        if corner < 0:
            return True
    return False


@njit(cache=True, nogil=True)
def _overlaps(corners, resolution, counts, keys, starts):
    """Counts the cells of each triangle where ``counts`` has room, else writes their keys from ``starts``."""
    cell = np.zeros(3, np.int64)
    for f in range(corners.shape[0]):
        a, b, c = corners[f, 0], corners[f, 1], corners[f, 2]
        n = np.cross(b - a, c - a)
        w = 0
        if abs(n[1]) > abs(n[w]):
            w = 1
        if abs(n[2]) > abs(n[w]):
            w = 2
        if n[w] == 0:
            continue
        u, v = (w + 1) % 3, (w + 2) % 3
        found = 0
        low_w, high_w = min(a[w], b[w], c[w]), max(a[w], b[w], c[w])
        for iu in range(
            max(0, int(np.floor(min(a[u], b[u], c[u])))),
            min(resolution - 1, int(np.floor(max(a[u], b[u], c[u])))) + 1,
        ):
            for iv in range(
                max(0, int(np.floor(min(a[v], b[v], c[v])))),
                min(resolution - 1, int(np.floor(max(a[v], b[v], c[v])))) + 1,
            ):
                if edge_misses(a, b, c, u, v, iu, iv):
                    continue
                # The plane's height over the cell's square bounds which cells of the column it can pass
                # through.
                middle = a[w] - (n[u] * (iu + 0.5 - a[u]) + n[v] * (iv + 0.5 - a[v])) / n[w]
                reach = 0.5 * (abs(n[u]) + abs(n[v])) / abs(n[w])
                first = max(0, int(np.floor(max(middle - reach, low_w))))
                last = min(resolution - 1, int(np.floor(min(middle + reach, high_w))))
                for iw in range(first, last + 1):
                    if edge_misses(a, b, c, v, w, iv, iw) or edge_misses(a, b, c, w, u, iw, iu):
                        continue
                    if keys.size:
                        cell[u], cell[v], cell[w] = iu, iv, iw
                        keys[starts[f] + found] = (cell[0] * resolution + cell[1]) * resolution + cell[2]
                    found += 1
        if counts.size:
            counts[f] = found
