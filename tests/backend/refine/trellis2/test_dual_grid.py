"""The flexible dual grid, against rational arithmetic and a solver of bounded least squares."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
import trimesh
from scipy.optimize import lsq_linear
from trimesh.transformations import rotation_matrix

from backend.mesh.voxels import cell_keys
from backend.refine.trellis2.dual_grid import (
    BORDER_WEIGHT,
    POINT_WEIGHT,
    DualGrid,
    dual_grid,
    dual_grid_in_unit_cube,
)
from tests.meshes import ASSETS, knot, needs_assets


def exact_crossings(
    points: np.ndarray, faces: np.ndarray, resolution: int
) -> list[tuple[int, int, tuple, Fraction]]:
    """``(face, axis, (column, row), place)`` in fractions: nodes on the low side of a triangle are out, those
    on the high side in."""
    events = []
    for face, corners in enumerate(points[faces]):
        corners = [[Fraction(float(x)) * resolution for x in corner] for corner in corners]
        for axis in range(3):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            rows = [corner[v] for corner in corners]
            for row in range(max(1, floor(min(rows))), min(resolution - 1, floor(max(rows))) + 1):
                if not min(rows) < row <= max(rows):
                    continue
                cut = []
                for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
                    if a[v] == b[v] == row:
                        cut += [(a[u], a[axis]), (b[u], b[axis])]
                    elif min(a[v], b[v]) <= row <= max(a[v], b[v]) and a[v] != b[v]:
                        t = (row - a[v]) / (b[v] - a[v])
                        cut.append((a[u] + t * (b[u] - a[u]), a[axis] + t * (b[axis] - a[axis])))
                (x, p), (y, q) = min(cut), max(cut)
                for column in range(max(1, floor(x)), min(resolution - 1, floor(y)) + 1):
                    if x < column <= y:
                        place = p + (q - p) * (column - x) / (y - x)
                        if 0 <= place < resolution:
                            events.append((face, axis, (column, row), place))
    return events


def around(axis: int, node: tuple, place: Fraction) -> list[tuple]:
    """The four cells around a crossed edge, the one whose flag says so first."""
    cells = []
    for up in (0, 1):
        for across in (0, 1):
            cell = [0, 0, 0]
            cell[axis], cell[(axis + 1) % 3], cell[(axis + 2) % 3] = (
                floor(place),
                node[0] - 1 + across,
                node[1] - 1 + up,
            )
            cells.append(tuple(cell))
    return cells


def exact_grid(points: np.ndarray, faces: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    flags = {}
    for _, axis, node, place in exact_crossings(points, faces, resolution):
        cells = around(axis, node, place)
        for cell in cells:
            flags.setdefault(cell, [False] * 3)
        flags[cells[0]][axis] = True
    return np.array(sorted(flags), np.int32), np.array([flags[cell] for cell in sorted(flags)])


def assert_as_exact(points: np.ndarray, faces: np.ndarray, resolution: int) -> DualGrid:
    grid = dual_grid_in_unit_cube(points, faces, resolution)
    cells, crossed = exact_grid(points, faces, resolution)
    assert np.array_equal(grid.cells, cells)
    assert np.array_equal(grid.crossed, crossed)
    return grid


def soup(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of all sizes, none of which shares a vertex."""
    random = np.random.default_rng(seed)
    middles, sizes = random.uniform(0.2, 0.8, (count, 1, 3)), random.uniform(0.01, 0.2, (count, 1, 1))
    points = (middles + sizes * random.uniform(-1, 1, (count, 3, 3))).reshape(-1, 3)
    return points.astype(np.float32), np.arange(3 * count, dtype=np.int32).reshape(-1, 3)


def blob() -> tuple[np.ndarray, np.ndarray]:
    """A closed mesh without a symmetry."""
    mesh = trimesh.creation.icosphere(2)
    direction = mesh.vertices
    radius = 0.3 + 0.05 * np.sin(5 * direction[:, 0] + 1) + 0.06 * direction[:, 1] * direction[:, 2]
    return (0.51 + radius[:, None] * direction).astype(np.float32), np.asarray(mesh.faces, np.int32)


@pytest.mark.parametrize(
    ("mesh", "resolution"), [(soup(40, 0), 16), (soup(25, 1), 13), (blob(), 16), (blob(), 32)]
)
def test_cells_and_flags_are_those_of_exact_crossings(mesh, resolution):
    grid = assert_as_exact(*mesh, resolution)
    assert len(grid) > 100
    assert 0 < grid.crossed.mean() < 1


OCTAHEDRON = trimesh.Trimesh(
    np.concatenate([np.eye(3), -np.eye(3)]) / 2,
    [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]],
    process=False,
)


@pytest.mark.parametrize("scale", [0.5, 0.25])
@pytest.mark.parametrize(
    "mesh", [trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 0.5, 0.25)), OCTAHEDRON]
)
def test_geometry_on_grid_lines_follows_the_half_open_rule(mesh, scale):
    assert_as_exact((0.5 + scale * mesh.vertices).astype(np.float32), np.asarray(mesh.faces, np.int32), 16)


def test_a_closed_surface_is_crossed_an_even_number_of_times_along_every_line():
    grid = dual_grid(*normalize_mesh(knot()), 64)
    for axis in range(3):
        lines = np.delete(grid.cells[grid.crossed[:, axis]], axis, axis=1)
        _, times = np.unique(lines, axis=0, return_counts=True)
        # Two crossings of one edge are one flag, so that an odd number is left where a line just touches the
        # surface.
        assert (times % 2 == 0).mean() > 0.95


def normalize_mesh(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    vertices = (mesh.vertices - mesh.bounds.mean(axis=0)) / np.ptp(mesh.bounds, axis=0).max()
    return vertices.astype(np.float32), np.asarray(mesh.faces, np.int32)


def clip_to_cell(polygon: np.ndarray, cell: tuple) -> np.ndarray:
    """What a closed cell leaves of a polygon or a segment (N, 3)."""
    for axis in range(3):
        for sign, bound in ((1, cell[axis]), (-1, -cell[axis] - 1)):
            height = sign * polygon[:, axis] - bound
            kept = []
            for k in range(len(polygon)):
                a, b, p, q = height[k - 1], height[k], polygon[k - 1], polygon[k]
                if a * b < 0:
                    kept.append(p + a / (a - b) * (q - p))
                if b >= 0:
                    kept.append(q)
            if not kept:
                return np.empty((0, 3))
            polygon = np.array(kept)
    return polygon


def least_squares(points: np.ndarray, faces: np.ndarray, resolution: int) -> dict[tuple, np.ndarray]:
    """The dual vertex of each cell by a solver that knows bounds, from one row per squared distance."""
    corners = points[faces].astype(np.float64) * resolution
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    rows = {}
    for face, axis, node, place in exact_crossings(points, faces, resolution):
        point = np.empty(3)
        point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3] = float(place), *node
        for cell in around(axis, node, place):
            wanted = rows.setdefault(cell, [])
            wanted.append((normals[face], normals[face] @ (corners[face, 0] - cell)))
            wanted += [
                (np.sqrt(POINT_WEIGHT) * unit, np.sqrt(POINT_WEIGHT) * (unit @ (point - cell)))
                for unit in np.eye(3)
            ]
    ends = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(ends, axis=0, return_counts=True)
    for cell, wanted in rows.items():
        for face in range(len(faces)):
            if len(clip_to_cell(corners[face], cell)):
                wanted.append((normals[face], normals[face] @ (corners[face, 0] - cell)))
        for start, end in points[edges[uses == 1]].astype(np.float64) * resolution:
            if len(clip_to_cell(np.array([start, end]), cell)):
                along = (end - start) / np.linalg.norm(end - start)
                flat = np.sqrt(BORDER_WEIGHT) * (np.eye(3) - np.outer(along, along))
                wanted += list(zip(flat, flat @ (start - cell), strict=True))
    return {
        cell: lsq_linear(*map(np.array, zip(*wanted, strict=True)), bounds=(0, 1), tol=1e-14).x
        for cell, wanted in rows.items()
    }


@pytest.mark.parametrize(("mesh", "resolution"), [(soup(12, 2), 16), (blob(), 12)])
def test_dual_vertices_are_solutions_of_bounded_least_squares(mesh, resolution):
    grid = dual_grid_in_unit_cube(*mesh, resolution)
    expected = least_squares(*mesh, resolution)
    assert len(expected) == len(grid) > 100
    error = np.abs(grid.offsets - np.array([expected[tuple(cell)] for cell in grid.cells.tolist()])).max(
        axis=1
    )
    assert error.max() < 1e-4


def dual_vertices(grid: DualGrid) -> np.ndarray:
    """(N, 3) in -0.5..0.5."""
    return (grid.cells + grid.offsets) / grid.resolution - 0.5


def test_a_spheres_dual_vertices_lie_on_it():
    grid = dual_grid(*normalize_mesh(trimesh.creation.icosphere(5)), 64)
    beside = 64 * np.abs(np.linalg.norm(dual_vertices(grid), axis=1) - 0.5)
    assert np.median(beside) < 0.01
    assert beside.max() < 0.5


def test_a_turned_cubes_dual_vertices_lie_on_its_sharp_edges_and_corners():
    turn = rotation_matrix(0.4, [1, 2, 3])
    vertices, faces = normalize_mesh(trimesh.creation.box((1, 1, 1)).apply_transform(turn))
    half = np.linalg.norm(vertices, axis=1).max() / np.sqrt(3)
    grid = dual_grid(vertices, faces, 64)
    local = np.abs(dual_vertices(grid) @ turn[:3, :3]) / half
    on = (
        64 * half * np.abs(local - 1) < 0.02
    )  # which of the three sides a vertex lies on, to a 50th of a cell
    assert on.any(axis=1).mean() > 0.99
    assert (on.sum(axis=1) == 3).sum() >= 6
    along = on.sum(axis=1) == 2
    # An edge is so long in cells, and crosses about one and a half cells per cell of length.
    assert along.sum() > 12 * 2 * half * 64


def test_rows_ascend_and_do_not_depend_on_the_order_of_triangles():
    vertices, faces = normalize_mesh(knot())
    grid = dual_grid(vertices, faces, 64)
    shuffled = dual_grid(vertices, np.random.default_rng(0).permutation(faces), 64)
    assert (np.diff(cell_keys(grid.cells, 64)) > 0).all()
    assert np.array_equal(grid.cells, shuffled.cells)
    assert np.array_equal(grid.crossed, shuffled.crossed)
    assert np.abs(grid.offsets - shuffled.offsets).max() < 1e-3
    assert grid.cells.dtype == np.int32
    assert (grid.offsets.dtype, grid.crossed.dtype) == (np.float32, bool)


def test_seams_that_are_not_welded_move_dual_vertices_but_no_cell():
    vertices, faces = normalize_mesh(trimesh.creation.icosphere(3))
    welded = dual_grid(vertices, faces, 32)
    torn = dual_grid(vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3), 32)
    assert np.array_equal(welded.cells, torn.cells)
    assert np.array_equal(welded.crossed, torn.crossed)
    assert np.abs(welded.offsets - torn.offsets).max() > 0.05


def test_a_mesh_that_fills_the_grid_stays_inside():
    grid = dual_grid(*normalize_mesh(trimesh.creation.box((1, 1, 1))), 32)
    assert (grid.cells.min(), grid.cells.max()) == (0, 31)
    assert np.isfinite(grid.offsets).all()


def test_faces_without_area_do_not_change_the_dual_grid():
    vertices, faces = blob()
    thin = np.concatenate([faces, np.int32([[0, 0, 1], [2, 2, 2]])])
    assert np.array_equal(
        dual_grid_in_unit_cube(vertices, faces, 32).cells, dual_grid_in_unit_cube(vertices, thin, 32).cells
    )


@needs_assets
def test_a_real_mesh_has_as_many_cells_as_its_area_says():
    mesh = trimesh.load(ASSETS / "spot" / "spot_triangulated.obj", force="mesh")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    vertices, faces = normalize_mesh(mesh)
    grid = dual_grid(vertices, faces, 256)
    area = trimesh.Trimesh(vertices, faces, process=False).area
    assert 1.2 < len(grid) / (area * 256**2) < 1.6
