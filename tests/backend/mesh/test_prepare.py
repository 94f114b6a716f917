"""Preparing a mesh: cleaning, UVs, voxels."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend import store
from backend.api.errors import InvalidMesh, ProtocolError
from backend.api.job import MAX_TRIANGLES, Job, MeshData
from backend.mesh.parts import SMALL_FRACTION, segment_parts
from backend.mesh.prepare import clean, job_uvs, prepare
from backend.mesh.surface import triangle_areas
from backend.mesh.unwrap.unwrap import unwrap
from backend.mesh.uvs import count_overlaps, rasterize_atlas, why_unusable
from backend.mesh.voxels import cell_keys, point_cells, voxelize
from backend.records import load_surface, save_surface
from tests.meshes import job, knot, mesh_data, surface_of


def quiet(fraction: float) -> None:
    pass


def data(vertices, faces, **more) -> MeshData:
    return MeshData(np.array(vertices, np.float32), np.array(faces, np.int32), **more)


def test_a_surface_is_centred_and_its_longest_side_is_one():
    surface = surface_of(trimesh.creation.box((2, 8, 4)).apply_translation((50, -3, 7)))
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=1e-5)
    np.testing.assert_allclose(high - low, (0.25, 1, 0.5), atol=1e-5)


def test_vertices_at_one_place_become_one():
    soup = trimesh.creation.icosphere(2)
    soup.unmerge_vertices()
    assert len(surface_of(soup).vertices) == len(trimesh.creation.icosphere(2).vertices)


def test_welding_keeps_the_order_of_the_vertices():
    """Triangles that follow one another find their vertices side by side, which drawing a large mesh depends
    on."""
    ball = trimesh.creation.icosphere(3)
    order = np.sort(np.unique(ball.faces, return_index=True)[1])
    faces = np.argsort(ball.faces.ravel()[order])[ball.faces]
    vertices = ball.vertices[ball.faces.ravel()[order]]
    soup = data(vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3))
    for mesh in (data(vertices, faces), soup):
        assert np.array_equal(clean(mesh).faces, faces)


def test_faces_with_nan_are_left_out_and_reported():
    mesh = mesh_data(trimesh.creation.icosphere(1))
    mesh.vertices[3] = np.nan
    mesh.vertices[4, 1] = np.inf
    surface = prepare(mesh, 1024, quiet)
    bad = np.isin(mesh.faces, (3, 4)).any(axis=1)
    assert np.array_equal(surface.job_faces, np.flatnonzero(~bad))
    assert any(f"{bad.sum()} triangles with NaN" in note for note in surface.notes)


def test_faces_without_area_are_left_out_and_reported():
    box = mesh_data(trimesh.creation.box())
    mesh = data(box.vertices, np.concatenate([box.faces, [[0, 0, 1], [2, 2, 2]]]))
    surface = prepare(mesh, 1024, quiet)
    assert np.array_equal(surface.job_faces, np.arange(12))
    assert any("2 triangles without area" in note for note in surface.notes)


@pytest.mark.parametrize("width", [0, 1e-9, 1e-7, 0.9e-6])
def test_faces_thinner_than_the_weld_distance_are_left_out(width):
    box = mesh_data(trimesh.creation.box())
    thin = [[-0.5, -0.5, 0.6], [0.5, 0.5, 0.6], [width / 2, -width / 2, 0.6]]
    mesh = data(np.concatenate([box.vertices, thin]), np.concatenate([box.faces, [[8, 9, 10]]]))
    surface = prepare(mesh, 1024, quiet)
    assert np.array_equal(surface.job_faces, np.arange(12))
    assert any("1 triangles without area" in note for note in surface.notes)


def test_small_faces_are_kept_down_to_the_weld_distance():
    box = mesh_data(trimesh.creation.box())
    small = np.float32([[0, 0, 0], [4e-6, 0, 0], [0, 4e-6, 0]]) + np.float32([0, 0, 0.125])
    mesh = data(np.concatenate([box.vertices, small]), np.concatenate([box.faces, [[8, 9, 10]]]))
    assert len(prepare(mesh, 1024, quiet).faces) == 13


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        (np.full((3, 3), np.nan), "NaN or infinite"),
        (np.ones((3, 3)), "one point"),
        ([[0, 0, 0], [1, 1, 1], [2, 2, 2]], "No face of the mesh has an area"),
        ([[0, 0, 0], [3e38, 0, 0], [0, 3e38, 0]], "too large"),
    ],
)
def test_a_mesh_with_nothing_to_texture_is_reported(vertices, message):
    with pytest.raises(InvalidMesh, match=message):
        prepare(data(vertices, [[0, 1, 2]]), 1024, quiet)


def test_an_empty_mesh_is_reported():
    with pytest.raises(InvalidMesh, match="no faces"):
        MeshData(np.zeros((3, 3), np.float32), np.zeros((0, 3), np.int32))


def test_a_mesh_of_two_million_faces_is_reported_as_too_large():
    with pytest.raises(InvalidMesh, match=f"2,000,000 triangles and the limit is {MAX_TRIANGLES:,}"):
        MeshData(np.zeros((3, 3), np.float32), np.zeros((2_000_000, 3), np.int32))


def test_a_face_that_points_nowhere_is_refused():
    with pytest.raises(ProtocolError, match="does not exist"):
        data([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 3]])


def test_one_triangle_gets_a_large_chart():
    surface = prepare(data([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]), 1024, quiet)
    assert count_overlaps(surface.corner_uvs, 256)[0] > 0.2 * 256**2


def broken_mesh() -> MeshData:
    """Duplicate faces, three triangles on one edge, and a bow tie on one vertex."""
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0.2], [0.2, 0, 1], [-1, -1, 0], [-1, 1, 0]]
    return data(vertices, [[0, 1, 2], [0, 1, 2], [2, 1, 0], [0, 1, 3], [0, 1, 4], [0, 5, 6]])


@pytest.mark.parametrize(
    "mesh",
    [mesh_data(trimesh.creation.box()), mesh_data(knot()), broken_mesh()],
    ids=["box", "knot", "broken"],
)
def test_new_uvs_do_not_overlap_and_lie_in_the_square(mesh):
    surface = prepare(mesh, 1024, quiet)
    assert surface.unwrapped
    assert why_unusable(surface.corner_uvs) is None
    assert count_overlaps(surface.corner_uvs, 2048)[1] == 0


def test_new_uvs_have_even_density():
    surface = surface_of(knot())
    flat = np.column_stack([surface.corner_uvs.reshape(-1, 2), np.zeros(3 * len(surface.faces))])
    ratio = triangle_areas(flat, np.arange(len(flat)).reshape(-1, 3)) / triangle_areas(
        surface.vertices, surface.faces
    )
    assert np.quantile(ratio, 0.95) < 2.5 * np.quantile(ratio, 0.05)


def test_a_polygon_is_never_cut_apart():
    mesh = mesh_data(knot())
    quads = np.tile(np.arange(len(mesh.faces) // 2, dtype=np.int32), 2)
    surface = prepare(MeshData(mesh.vertices, mesh.faces, polygons=quads), 1024, quiet)
    order = np.lexsort((surface.job_faces, quads[surface.job_faces]))
    faces, uvs = surface.faces[order].reshape(-1, 6), surface.corner_uvs[order].reshape(-1, 6, 2)
    for polygon, corners in zip(faces, uvs, strict=True):
        for vertex in set(polygon):
            assert np.ptp(corners[polygon == vertex], axis=0).max() < 1e-6


def test_unwrapping_covers_the_whole_mesh():
    mesh = mesh_data(trimesh.creation.icosphere(5))
    uvs = unwrap(mesh.vertices, mesh.faces, np.arange(len(mesh.faces)), 1024, quiet)
    assert why_unusable(uvs) is None
    assert len(np.unique(rasterize_atlas(uvs, 4096)[0])) - 1 == len(mesh.faces)


WHOLE_SQUARE = np.float32([[[0, 0], [1, 0], [0, 1]], [[1, 0], [1, 1], [0, 1]]])


@pytest.mark.parametrize(
    ("uvs", "reason"),
    [
        (None, "no UV map"),
        (WHOLE_SQUARE, None),
        (WHOLE_SQUARE * 0.5 + 0.25, None),
        (WHOLE_SQUARE + 0.2, "leaves the 0 to 1 square: 2 of 2 faces lie across"),
        (
            np.concatenate([WHOLE_SQUARE, WHOLE_SQUARE[:1] + 0.2]),
            "leaves the 0 to 1 square: 1 of 3 faces lies across",
        ),
        (WHOLE_SQUARE - 0.05, "it reaches -0.05"),
        (WHOLE_SQUARE * 0.01 + 0.5, "too small"),
        (WHOLE_SQUARE * 0, "folds faces: 2 of 2 faces lie on a point"),
        (WHOLE_SQUARE[[0, 0]], "overlap"),
        (np.stack([WHOLE_SQUARE[0], WHOLE_SQUARE[0][[0, 2, 1]]]), "overlap"),
        (np.where(WHOLE_SQUARE == 1, np.nan, WHOLE_SQUARE), "NaN"),
    ],
    ids=[
        "none",
        "whole square",
        "inner square",
        "outside",
        "one face outside",
        "a little outside",
        "tiny",
        "folded",
        "stacked",
        "mirrored on itself",
        "nan",
    ],
)
def test_only_layouts_that_can_carry_a_texture_are_kept(uvs, reason):
    found = why_unusable(None if uvs is None else uvs.astype(np.float32))
    assert (found is None) if reason is None else (reason in found)


@pytest.mark.parametrize("size", [(4, 4), (4, 60), (2, 40), (60, 3), (31, 31)])
@pytest.mark.parametrize("where", ["on another", "on the rest"])
def test_small_and_narrow_parts_that_share_texels_overlap(size, where):
    place = 0.94 if where == "on another" else 0.4
    part = WHOLE_SQUARE * np.array(size) / 1024 + place
    copies = [part, part + 1e-5] if where == "on another" else [part]
    assert "overlap" in why_unusable(np.concatenate([grid_of_faces(32), *copies]).astype(np.float32))


def grid_of_faces(count: int) -> np.ndarray:
    """(2 * count**2, 3, 2): the UVs of a grid that fills most of the square."""
    u, v = np.meshgrid(*[np.linspace(0, 1, count + 1)] * 2)
    at = np.stack([u, v], axis=-1) * 0.9 + 0.01
    a, b, c, d = at[:-1, :-1], at[:-1, 1:], at[1:, 1:], at[1:, :-1]
    triangles = [np.stack(corners, axis=2).reshape(-1, 3, 2) for corners in ((a, b, c), (a, c, d))]
    return np.concatenate(triangles).astype(np.float32)


@pytest.mark.parametrize("size", [0.008, 0.03, 0.06])
@pytest.mark.parametrize("on_island", [True, False])
def test_small_parts_that_share_texels_are_found(size, on_island):
    part = WHOLE_SQUARE * size + (0.4 if on_island else 0.93)
    parts = [part] if on_island else [part, part]
    assert "overlap" in why_unusable(np.concatenate([grid_of_faces(32), *parts]).astype(np.float32))


def test_islands_that_touch_at_their_borders_are_usable():
    shift = 0.9 / 1024
    touching = np.concatenate([grid_of_faces(16) * 0.5, grid_of_faces(16) * 0.5 + (0.45 - shift, 0)])
    assert why_unusable(touching.astype(np.float32)) is None


@pytest.mark.parametrize("count", [1, 3, 40])
def test_stray_faces_are_counted(count):
    uvs = grid_of_faces(32)
    uvs[:count] = -1e5
    assert f"{count} of 2,048 faces" in why_unusable(uvs)


def test_usable_uvs_are_kept_to_the_bit():
    mesh = mesh_data(trimesh.creation.box())
    uvs = prepare(mesh, 1024, quiet).corner_uvs
    surface = prepare(MeshData(mesh.vertices, mesh.faces, corner_uvs=uvs), 1024, quiet)
    assert not surface.unwrapped
    assert np.array_equal(surface.corner_uvs, uvs)


def test_uvs_return_in_the_jobs_order_with_left_out_corners_joined():
    vertices = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0.5, 1, 0], [0, 1, 0]]
    faces = [[2, 3, 4], [0, 1, 2], [0, 2, 4]]
    mesh = data(vertices, faces, polygons=np.zeros(3, np.int32))
    surface = prepare(mesh, 1024, quiet)
    assert list(surface.job_faces) == [1, 2]
    uvs = job_uvs(surface, mesh)
    assert np.array_equal(uvs[1:], surface.corner_uvs)
    assert np.array_equal(uvs[0, 0], uvs[1, 2])
    assert np.array_equal(uvs[0, 2], uvs[2, 2])
    assert np.array_equal(uvs[0, 1], (0, 0))


@pytest.mark.parametrize("resolution", [16, 64])
def test_voxels_are_exactly_the_cells_that_the_surface_passes_through(resolution):
    mesh, surface = knot(), surface_of(knot())
    voxels = voxelize(surface, resolution)
    keys = cell_keys(voxels.cells, resolution)
    assert (np.diff(keys) > 0).all()
    points = trimesh.Trimesh(surface.vertices, surface.faces, process=False).sample(200_000, seed=1)
    sampled = np.unique(cell_keys(point_cells(points, resolution), resolution))
    assert np.isin(sampled, keys).all()
    corners = surface.vertices[surface.faces]
    for key in keys[~np.isin(keys, sampled)][:40]:
        cell = np.array(np.unravel_index(key, (resolution,) * 3))
        assert _touches(corners, cell / resolution - 0.5, 1 / resolution)
    assert len(mesh.faces) == len(surface.faces)


def test_a_cube_that_fills_the_grid_has_voxels_on_all_six_sides():
    cells = voxelize(surface_of(trimesh.creation.box()), 8).cells
    assert len(cells) == 8**3 - 6**3


def _touches(corners: np.ndarray, low: np.ndarray, size: float) -> bool:
    """Whether any triangle reaches into a box, by clipping it against the six planes (Sutherland and
    Hodgman), the slow sure way."""
    near = ((corners.max(axis=1) >= low - 1e-7) & (corners.min(axis=1) <= low + size + 1e-7)).all(axis=1)
    for polygon in corners[near].astype(np.float64):
        for axis in range(3):
            for sign, bound in ((1, low[axis] - 1e-7), (-1, -(low[axis] + size) - 1e-7)):
                clipped = []
                for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                    da, db = sign * a[axis] - bound, sign * b[axis] - bound
                    if da >= 0:
                        clipped.append(a)
                    if (da >= 0) != (db >= 0):
                        clipped.append(a + (b - a) * da / (da - db))
                polygon = np.array(clipped).reshape(-1, 3)
        if len(polygon):
            return True
    return False


def test_neighbours_are_the_cells_that_share_a_side():
    voxels = voxelize(surface_of(trimesh.creation.icosphere(3)), 16)
    distance = np.abs(voxels.cells[voxels.edges[:, 0]] - voxels.cells[voxels.edges[:, 1]]).sum(axis=1)
    assert (distance == 1).all()
    expected = sum((np.abs(voxels.cells[:, None] - voxels.cells[None]).sum(axis=2) == 1).sum(axis=1)) // 2
    assert len(voxels.edges) == expected


def test_parts_end_at_sharp_edges_and_small_ones_go_with_a_neighbour():
    def sizes(mesh):
        return np.sort(np.bincount(segment_parts(surface_of(mesh)))).tolist()

    assert sizes(trimesh.creation.box()) == [2] * 6
    assert sizes(trimesh.creation.icosphere(2)) == [320]
    assert len(sizes(trimesh.creation.cylinder(0.3, 1.0, sections=32))) == 3
    nail = trimesh.creation.box((0.01, 0.01, 0.01)).apply_translation((0, 0, 0.6))
    assert sizes(trimesh.util.concatenate([trimesh.creation.box(), nail])) == [2] * 6 + [12], (
        "a loose piece is a part, however small"
    )
    ball = trimesh.creation.icosphere(2)
    assert sizes(
        trimesh.Trimesh(ball.vertices, np.vstack([ball.faces, ball.faces[:, ::-1]]), process=False)
    ) == [640], "two-sided"
    dented = trimesh.creation.icosphere(4)
    dented.vertices[0] *= 0.94
    assert sizes(dented) == [5120]


def test_parts_end_where_the_material_slot_changes_however_small_they_are():
    surface = surface_of(trimesh.creation.icosphere(4))
    middles = surface.vertices[surface.faces].mean(axis=1)
    cap, freckle, half = (
        middles[:, 2] > 0.4,
        (np.abs(middles - surface.vertices[0]) < 0.02).all(axis=1),
        middles[:, 0] > 0,
    )
    slots = np.select([freckle, cap & half, cap], [7, 2, 1], 0).astype(np.int32)
    part = segment_parts(replace(surface, slots=slots))
    assert 0 < triangle_areas(surface.vertices, surface.faces[freckle]).sum() < SMALL_FRACTION * np.pi
    assert len(np.unique(part)) == 4
    assert len(np.unique(np.column_stack([part, slots]), axis=0)) == 4


def test_one_slot_in_two_places_is_two_parts():
    surface = surface_of(trimesh.creation.icosphere(3))
    height = surface.vertices[surface.faces].mean(axis=1)[:, 2]
    assert segment_parts(replace(surface, slots=(np.abs(height) > 0.3).astype(np.int32))).max() == 2


def test_a_face_keeps_its_material_slot_through_welding_cleaning_and_new_uvs():
    mesh = mesh_data(trimesh.creation.icosphere(2))
    corners = mesh.vertices[mesh.faces]
    corners[5, 0], corners[100, 1] = np.nan, corners[100, 0]  # one broken, one without area
    split = MeshData(
        corners.reshape(-1, 3),
        np.arange(3 * len(corners), dtype=np.int32).reshape(-1, 3),
        slots=(corners.sum(axis=(1, 2)) > 0).astype(np.int32),
    )
    surface = load_surface(save_surface(prepare(split, 1024, quiet)))
    assert surface.unwrapped
    assert len(surface.faces) == len(corners) - 2
    assert (
        surface.slots.tolist() == (surface.vertices[surface.faces].sum(axis=(1, 2)) > 0).astype(int).tolist()
    )


def test_material_slots_travel_with_a_job_and_make_it_another_one():
    mesh, reference = mesh_data(trimesh.creation.box()), np.zeros(8, np.uint8)
    plain, sent = job(mesh, reference), job(replace(mesh, slots=np.arange(12, dtype=np.int32)), reference)
    assert Job.from_parts(sent.body(), sent.arrays()).mesh.slots.tolist() == list(range(12))
    assert "slots" not in plain.arrays()
    assert Job.from_parts(plain.body(), plain.arrays()).mesh.slots is None
    assert store.fingerprint(plain) != store.fingerprint(sent)


@pytest.mark.parametrize(
    "slots", [np.zeros(11, np.int32), np.zeros(12, np.uint8), np.zeros((12, 1), np.int32)]
)
def test_slots_that_are_not_one_number_per_triangle_are_refused(slots):
    sent = job(mesh_data(trimesh.creation.box()), np.zeros(8, np.uint8))
    with pytest.raises(ProtocolError, match=r"'slots' must be int32 of shape \(12,\)"):
        Job.from_parts(sent.body(), sent.arrays() | {"slots": slots})


def test_a_mesh_of_one_slot_has_none_to_keep():
    surface = surface_of(trimesh.creation.box())
    assert surface.slots is None
    assert load_surface(save_surface(surface)).slots is None
