"""New UVs: growing charts, flattening, joining charts, packing."""

import threading

import numpy as np
import pytest
import trimesh

from backend.mesh.edges import corner_components, link_components, twin_half_edges
from backend.mesh.surface import triangle_areas, triangle_normals
from backend.mesh.unwrap import charts, join
from backend.mesh.unwrap.chart_growth import grow_charts, sum_by_owner, unit_rows
from backend.mesh.unwrap.config import DEFAULT_UNWRAP_CONFIG, UnwrapConfig
from backend.mesh.unwrap.flatten import (
    flatten_triangles,
    l2_stretch,
    overlaps_itself,
    relax_arap,
    singular_values,
)
from backend.mesh.unwrap.pack import pack_charts
from backend.mesh.unwrap.unwrap import unwrap
from backend.mesh.uvs import count_overlaps, why_unusable
from tests.meshes import knot, mesh_data


def quiet(fraction: float) -> None:
    pass


def make_grid(columns: int, rows: int, place) -> tuple[np.ndarray, np.ndarray]:
    """``(vertices, faces)`` of a grid of squares over (0..columns, 0..rows), cut once each, with ``place(x,
    y)`` for its points."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(columns + 1), np.arange(rows + 1), indexing="ij"))
    number = np.arange(len(x)).reshape(columns + 1, rows + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    faces = np.concatenate(
        [np.stack([a, b, c], axis=-1).reshape(-1, 3), np.stack([a, c, d], axis=-1).reshape(-1, 3)]
    )
    return np.stack(place(x.astype(float), y.astype(float)), axis=-1).astype(np.float32), faces.astype(
        np.int32
    )


def flatten_given_charts(vertices: np.ndarray, faces: np.ndarray, chart: np.ndarray):
    """UVs, wedges and numbers of the given charts, each relaxed from its projection along its mean normal."""
    wedges = np.unique(np.stack([np.repeat(chart, 3), faces.ravel()]), axis=1, return_inverse=True)[
        1
    ].reshape(-1, 3)
    uvs = np.zeros((len(faces), 3, 2))
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    for number in np.unique(chart):
        normal = (mesh.face_normals * mesh.area_faces[:, None])[chart == number].sum(axis=0)
        turn = trimesh.geometry.align_vectors(normal, (0, 0, 1))[:3, :3]
        inside = chart == number
        own = np.unique(wedges[inside], return_inverse=True)[1].reshape(-1, 3)
        uvs[inside] = relax_arap(
            flatten_triangles(vertices, faces[inside]),
            own,
            (vertices[faces[inside]] @ turn.T)[..., :2],
            UnwrapConfig().flatten_steps,
        )
    return uvs, wedges, np.unique(chart, return_inverse=True)[1]


def join_beside_a_large_box(vertices, faces, chart, config=DEFAULT_UNWRAP_CONFIG):
    """What ``join_charts`` makes of a mesh whose charts are all small beside the whole surface."""
    box = trimesh.creation.box((90, 90, 90)).apply_translation((0, 0, 99))
    all_vertices = np.concatenate([vertices, box.vertices]).astype(np.float32)
    all_faces = np.concatenate([faces, box.faces + len(vertices)]).astype(np.int32)
    chart = np.concatenate([chart, chart.max() + 1 + np.arange(len(box.faces))]).astype(int)
    flat = flatten_given_charts(all_vertices, all_faces, chart)
    joined = join.join_charts(all_vertices, all_faces, *flat, config, quiet)
    return tuple(values[: len(faces)] for values in joined)


def charts_of(faces: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    wedges = np.unique(np.column_stack([faces.ravel(), uvs.reshape(-1, 2)]), axis=0, return_inverse=True)[
        1
    ].reshape(-1, 3)
    return corner_components(wedges, np.arange(len(faces)))


def stretches(vertices, faces, uvs):
    """``(l2, smallest singular value)`` at the scale that keeps the area."""
    flat = flatten_triangles(vertices, faces)
    area = 0.5 * flat[:, 1, 0] * flat[:, 2, 1]
    largest, smallest = singular_values(flat, uvs.astype(np.float64))
    scale = np.sqrt(area.sum() / (area * np.abs(largest * smallest)).sum())
    return l2_stretch(scale * largest, scale * smallest, area), scale * smallest.min()


def test_edges_are_twins_only_where_two_triangles_agree():
    square = [[0, 1, 2], [0, 2, 3]]
    assert twin_half_edges(np.array(square)).tolist() == [[2, 3]]
    assert len(twin_half_edges(np.array([*square, [2, 0, 4]]))) == 0, "three triangles on one edge"
    assert len(twin_half_edges(np.array([[0, 1, 2], [2, 0, 3]]))) == 0, "one of the two is turned over"


def test_grown_charts_cover_all_triangles_connected_and_none_turned_away():
    mesh = mesh_data(knot())
    chart = grow_charts(
        mesh.vertices, mesh.faces, np.arange(len(mesh.faces)), twin_half_edges(mesh.faces), 60
    )
    normals = triangle_normals(mesh.vertices, mesh.faces)
    front = unit_rows(sum_by_owner(triangle_areas(mesh.vertices, mesh.faces)[:, None] * normals, chart))
    assert 60 <= chart.max() + 1 < 90
    assert (np.einsum("fx,fx->f", front[chart], normals) > 0).all()
    edges = twin_half_edges(mesh.faces)
    inside = edges[chart[edges[:, 0] // 3] == chart[edges[:, 1] // 3]] // 3
    links = np.concatenate([inside.T, np.tile(np.arange(len(mesh.faces)), (2, 1))], axis=1)
    assert len(np.unique(link_components(links))) == len(np.unique(chart))


def test_grown_charts_end_at_sharp_edges():
    box = trimesh.creation.box()
    for _ in range(4):
        box = box.subdivide()
    mesh = mesh_data(box)
    chart = grow_charts(
        mesh.vertices, mesh.faces, np.arange(len(mesh.faces)), twin_half_edges(mesh.faces), 12
    )
    side = np.unique(triangle_normals(mesh.vertices, mesh.faces).round(), axis=0, return_inverse=True)[1]
    assert len(np.unique(chart)) > 6
    assert len(np.unique(np.stack([chart, side]), axis=1).T) == len(np.unique(chart))


@pytest.mark.parametrize("count", [1, 5, 200])
def test_charts_that_would_fold_or_overlap_themselves_are_grown_again_smaller(count):
    config = UnwrapConfig(max_charts=count, chart_faces=1)
    vertices, faces = make_grid(
        200, 3, lambda x, y: ((6 + y) * np.cos(x / 10), (6 + y) * np.sin(x / 10), x / 50)
    )
    uvs, wedges, chart = charts.flatten_charts(vertices, faces, np.arange(len(faces)), config, quiet)
    assert np.array_equal(np.unique(chart), np.arange(chart.max() + 1))
    for number in range(chart.max() + 1):
        inside = chart == number
        assert not overlaps_itself(
            np.unique(wedges[inside], return_inverse=True)[1].reshape(-1, 3), uvs[inside]
        )
        assert stretches(vertices, faces[inside], uvs[inside])[0] <= UnwrapConfig().max_l2_stretch


def test_charts_keep_polygons_whole_and_cut_where_triangles_only_touch():
    mesh = mesh_data(trimesh.creation.icosphere(4))
    faces = np.concatenate([mesh.faces, mesh.faces + len(mesh.vertices)])
    vertices = np.concatenate([mesh.vertices, mesh.vertices + np.float32([2, 0, 0])])
    touching = np.argmin(np.linalg.norm(vertices - (1, 0, 0), axis=1))
    faces[np.linalg.norm(vertices[faces] - (1, 0, 0), axis=2) < 1e-4] = touching
    # Across edges between triangles that face opposite ways nothing hangs together, but within a polygon it
    # does.
    faces[::64] = faces[::64, ::-1]
    polygons = np.arange(len(faces)) // 4
    uvs, wedges, chart = charts.flatten_charts(vertices, faces, polygons, UnwrapConfig(), quiet)
    assert (chart.reshape(-1, 4) == chart[::4, None]).all()
    assert (
        len(np.unique(chart[: len(mesh.faces)])) + len(np.unique(chart[len(mesh.faces) :])) == chart.max() + 1
    )
    places = np.unique(np.column_stack([wedges.ravel(), uvs.reshape(-1, 2)]), axis=0)
    assert len(places) == wedges.max() + 1
    for corners, numbers in zip(faces.reshape(-1, 12), wedges.reshape(-1, 12), strict=True):
        assert len(np.unique(np.stack([corners, numbers]), axis=1).T) == len(np.unique(corners))


def test_singular_values_are_those_of_linear_algebra():
    random = np.random.default_rng(1)
    vertices, faces = random.random((30, 3)), np.arange(30).reshape(-1, 3)
    flat, uvs = flatten_triangles(vertices, faces), random.random((10, 3, 2))
    expected = []
    for a, b in zip(flat, uvs, strict=True):
        jacobian = (b[1:] - b[0]).T @ np.linalg.inv((a[1:] - a[0]).T)
        values = np.linalg.svd(jacobian, compute_uv=False)
        expected.append((values[0], values[1] * np.sign(np.linalg.det(jacobian))))
    np.testing.assert_allclose(np.stack(singular_values(flat, uvs), axis=1), expected, rtol=1e-9)


def test_a_bent_grid_is_unrolled_without_stretch_from_a_skewed_start():
    vertices, faces = make_grid(20, 10, lambda x, y: (10 * np.cos(x / 10), 10 * np.sin(x / 10), y))
    start = vertices[faces][..., [1, 2]].astype(np.float64) @ [[1.0, 0.4], [0.0, 0.7]]
    flattened = relax_arap(flatten_triangles(vertices, faces), faces, start, 30)
    assert stretches(vertices, faces, start)[0] > 1.1
    l2, least = stretches(vertices, faces, flattened)
    assert l2 < 1.0001
    assert least > 0.98


def test_a_chart_that_runs_over_itself_is_found():
    turns = {}
    for name, end in (
        ("most of a ring", 0.99),
        ("a hair more than a ring", 1.0001),
        ("more than a ring", 1.1),
    ):
        vertices, faces = make_grid(
            40, 3, lambda x, y, end=end: [(6 + y) * f(2 * np.pi * end * x / 40) for f in (np.sin, np.cos)]
        )
        turns[name] = overlaps_itself(faces, vertices[faces].astype(np.float64))
    assert turns == {"most of a ring": False, "a hair more than a ring": True, "more than a ring": True}


def test_pieces_of_a_plane_become_one_chart_again():
    vertices, faces = make_grid(12, 12, lambda x, y: (x, y, 0 * x))
    column, row, _ = (vertices[faces].mean(axis=1) // 3).astype(int).T
    uvs, wedges, chart = join.join_charts(
        vertices, faces, *flatten_given_charts(vertices, faces, 4 * column + row), UnwrapConfig(), quiet
    )
    # Quarters: a half would be longer than a chart may be.
    assert chart.max() + 1 == 4
    for number in range(chart.max() + 1):
        inside = chart == number
        assert stretches(vertices, faces[inside], uvs[inside])[0] < 1 + 1e-9
        assert not overlaps_itself(
            np.unique(wedges[inside], return_inverse=True)[1].reshape(-1, 3), uvs[inside]
        )


def test_the_halves_of_a_tube_become_one_chart_with_one_seam():
    vertices, faces = make_grid(
        24, 12, lambda x, y: (3.82 * np.cos(2 * np.pi * x / 24), 3.82 * np.sin(2 * np.pi * x / 24), y * 5)
    )
    mesh = trimesh.Trimesh(vertices, faces)
    half = mesh.triangles_center[:, 0] > 0
    uvs, _, chart = join_beside_a_large_box(mesh.vertices, mesh.faces, half)
    assert len(np.unique(chart)) == 1
    assert stretches(mesh.vertices, mesh.faces, uvs)[0] < 1.0001


@pytest.mark.parametrize(
    ("length", "charts"),
    [(70, 1), (77, 2), (120, 2)],
    ids=["short of a turn", "just over a turn", "two turns"],
)
def test_a_winding_ramp_is_not_laid_on_itself(length, charts):
    vertices, faces = make_grid(
        length, 4, lambda x, y: ((8 + y) * np.cos(x / 12), (8 + y) * np.sin(x / 12), x / 50)
    )
    half = (vertices[faces].mean(axis=1)[:, 2] > length / 100).astype(int)
    uvs, wedges, chart = join_beside_a_large_box(vertices, faces, half, UnwrapConfig(min_shared_border=0.01))
    assert len(np.unique(chart)) == charts
    for number in np.unique(chart):
        assert not overlaps_itself(
            np.unique(wedges[chart == number], return_inverse=True)[1].reshape(-1, 3), uvs[chart == number]
        )


def test_charts_are_not_joined_beyond_the_stretch_they_may_have():
    config = UnwrapConfig(max_compression=9, max_joined_size=9)
    ball = mesh_data(trimesh.creation.icosphere(4))
    x, y, z = (ball.vertices[ball.faces].mean(axis=1) > 0).T
    octant = (2 * x + y + 4 * z).astype(int)
    uvs, _, chart = join.join_charts(
        ball.vertices, ball.faces, *flatten_given_charts(ball.vertices, ball.faces, octant), config, quiet
    )
    worst = max(
        stretches(ball.vertices, ball.faces[chart == number], uvs[chart == number])[0]
        for number in np.unique(chart)
    )
    assert worst <= UnwrapConfig().max_l2_stretch


@pytest.mark.parametrize(
    ("mesh", "most"),
    [
        (trimesh.creation.icosphere(5), 12),
        (knot(), 24),
        (trimesh.creation.box().subdivide(), 6),
        (trimesh.creation.cylinder(0.1, 10, sections=400), 3),
    ],
    ids=["sphere", "knot", "box", "rod"],
)
def test_new_uvs_have_few_charts_and_little_stretch(mesh, most):
    mesh = mesh_data(mesh)
    uvs = unwrap(mesh.vertices, mesh.faces, np.arange(len(mesh.faces)), 1024, quiet)
    l2, least = stretches(mesh.vertices, mesh.faces, uvs)
    assert charts_of(mesh.faces, uvs).max() + 1 <= most
    assert l2 <= UnwrapConfig().max_l2_stretch
    assert least > 0.7, "no triangle is mirrored or squeezed"
    assert why_unusable(uvs) is None


def test_packing_changes_no_shape_however_small_the_chart():
    sides = np.geomspace(0.002, 1, 40)
    corners = np.array([[[0, 0], [1, 0], [0, 1.37]]]) * sides[:, None, None]
    uvs = pack_charts(corners, np.arange(120).reshape(-1, 3), np.arange(40), 1024).astype(np.float64)
    lengths, before = (
        np.linalg.norm(np.roll(points, 1, axis=1) - points, axis=2) for points in (uvs, corners)
    )
    scale = (lengths / before)[-1, 0]
    np.testing.assert_allclose(lengths, before * scale, rtol=1e-3, atol=1e-6)
    assert count_overlaps(uvs.astype(np.float32), 2048)[1] == 0


def test_separate_triangles_of_one_polygon_keep_their_relative_places():
    apart = np.array([[[0, 0], [1, 0], [0.5, 1]], [[0.5, 1.2], [1, 2], [0, 2]]])
    corners = (apart * np.linspace(1, 3, 30)[:, None, None, None]).reshape(-1, 3, 2)
    uvs = (
        pack_charts(corners, np.arange(180).reshape(-1, 3), np.arange(60) // 2, 1024)
        .reshape(30, 6, 2)
        .astype(np.float64)
    )
    gaps, before = (
        np.linalg.norm(points[:, 2] - points[:, 3], axis=1) for points in (uvs, corners.reshape(30, 6, 2))
    )
    np.testing.assert_allclose(gaps / before, gaps[0] / before[0], rtol=1e-3)
    assert count_overlaps(uvs.reshape(-1, 3, 2).astype(np.float32), 1024)[1] == 0


def test_a_chart_too_small_to_see_still_lies_in_the_square():
    corners = np.array([[[0, 0], [1, 0], [0, 1]], [[500, 500], [500 + 1e-9, 500], [500, 500 + 1e-9]]])
    uvs = pack_charts(corners, np.array([[0, 1, 2], [3, 4, 5]]), np.array([0, 1]), 1024)
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    assert count_overlaps(uvs[:1], 512)[0] > 0.2 * 512**2


def test_a_chart_much_longer_than_the_rest_takes_no_room_for_gaps_away():
    long = np.array([[0, 0], [1000, 0], [1000, 0.01]])
    corners = np.concatenate([[long], [[[0, 0], [9, 0], [0, 9]]] * 20])
    uvs = pack_charts(corners, np.arange(63).reshape(-1, 3), np.arange(21), 1024)
    boxes = np.stack([uvs.min(axis=1), uvs.max(axis=1)], axis=1) * 1024
    gaps = np.maximum(boxes[:, None, 0] - boxes[None, :, 1], boxes[None, :, 0] - boxes[:, None, 1]).max(
        axis=2
    )
    assert gaps[~np.eye(21, dtype=bool)].min() >= 2


def test_thousands_of_charts_are_packed_in_rows_without_overlap():
    sides = np.random.default_rng(0).lognormal(size=(3000, 1, 1))
    corners = np.array([[[0, 0], [1, 0], [0.4, 0.7]]]) * sides
    uvs = pack_charts(corners, np.arange(9000).reshape(-1, 3), np.arange(3000), 1024)
    covered, shared = count_overlaps(uvs, 2048)
    assert covered > 0.3 * 2048**2
    assert shared == 0
    lengths, before = (np.linalg.norm(p[:, 1] - p[:, 0], axis=1) for p in (uvs.astype(float), corners))
    np.testing.assert_allclose(lengths / before, lengths[0] / before[0], rtol=1e-2)


@pytest.mark.parametrize("limit", [0.2, 0.55, 0.7])
def test_unwrapping_ends_at_the_next_step_when_progress_raises(limit):
    class Cancelled(Exception):
        pass

    def progress(fraction):
        if fraction > limit:
            raise Cancelled

    mesh = mesh_data(knot())
    threads = threading.active_count()
    with pytest.raises(Cancelled):
        unwrap(mesh.vertices, mesh.faces, np.arange(len(mesh.faces)), 1024, progress)
    assert threading.active_count() == threads
