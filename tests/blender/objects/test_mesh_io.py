"""Reading an object into the arrays of a job."""

import threading
import time

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io

from tests.blender import make


def signed_volume(mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def triangulated(obj: bpy.types.Object) -> bpy.types.Object:
    bpy.ops.object.modifier_add(type="TRIANGULATE")
    bpy.ops.object.modifier_apply(modifier=obj.modifiers[0].name)
    return obj


def test_vertices_are_in_world_space():
    obj = make.cube()
    obj.location, obj.scale = (5, 0, 0), (1, 2, 3)
    mesh = mesh_io.read_mesh(obj).snapshot.mesh_data()
    assert mesh.vertices.min(axis=0) == pytest.approx([4, -2, -3])
    assert mesh.vertices.max(axis=0) == pytest.approx([6, 2, 3])
    assert signed_volume(mesh) == pytest.approx(48)


def test_triangles_and_normals_point_outward_under_a_negative_scale():
    obj = make.suzanne()
    obj.scale = (-1, 2, 0.5)
    mesh = mesh_io.read_mesh(obj).snapshot.mesh_data()
    assert signed_volume(mesh) > 0
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    geometric = np.cross(b - a, c - a)
    assert (np.einsum("fi,fci->fc", geometric, mesh.corner_normals) > 0).mean() > 0.99
    assert np.linalg.norm(mesh.corner_normals, axis=-1) == pytest.approx(1, abs=1e-4)


def test_every_triangle_corner_knows_its_loop_and_uv():
    obj = make.suzanne()
    obj.scale = (-1, 1, 1)
    target = mesh_io.read_mesh(obj)
    mesh = target.snapshot.mesh_data()
    loops, uvs = obj.data.loops, obj.data.uv_layers.active.uv
    for face in (0, 100, 900):
        for corner in range(3):
            loop = int(target.loops[face, corner])
            assert loops[loop].vertex_index == mesh.faces[face, corner]
            assert uvs[loop].vector[:] == pytest.approx(mesh.corner_uvs[face, corner])
    polygons = obj.data.polygons
    assert all(
        loop in polygons[polygon].loop_indices
        for loop, polygon in zip(target.loops[:, 0], mesh.polygons, strict=True)
    )


def test_a_mesh_of_triangles_sends_no_polygons():
    mesh = mesh_io.read_mesh(triangulated(make.cube())).snapshot.mesh_data()
    assert mesh.polygons is None
    assert len(mesh.faces) == 12


def with_slots(obj: bpy.types.Object, count: int, numbers: list[int]) -> bpy.types.Object:
    """Gives a mesh material slots, and each polygon the next of the numbers, which go round, as they are."""
    for number in range(count):
        obj.data.materials.append(bpy.data.materials.new(f"{number}"))
    index = obj.data.attributes.get("material_index") or obj.data.attributes.new(
        "material_index", "INT", "FACE"
    )
    index.data.foreach_set("value", np.resize(np.int32(numbers), len(obj.data.polygons)))
    return obj


def cylinder() -> bpy.types.Object:
    bpy.ops.mesh.primitive_cylinder_add(vertices=12)
    return bpy.context.object


@pytest.mark.every_blender
@pytest.mark.parametrize(
    "add", [cylinder, make.suzanne, lambda: triangulated(make.cube())], ids=["n-gons", "quads", "triangles"]
)
def test_every_triangle_knows_the_material_slot_of_its_polygon(add):
    obj = with_slots(add(), 3, [0, 2, 1, 1])
    target = mesh_io.read_mesh(obj)
    polygons, slots = obj.data.polygons, target.snapshot.mesh_data().slots
    owner = {loop: polygon.material_index for polygon in polygons for loop in polygon.loop_indices}
    assert slots.dtype == np.int32
    assert slots.tolist() == [owner[loop] for loop in target.loops[:, 0].tolist()]


@pytest.mark.every_blender
def test_a_slot_that_does_not_exist_is_the_nearest_that_does_as_blender_shows_it():
    slots = (
        mesh_io.read_mesh(with_slots(triangulated(make.cube()), 3, [-5, 1, 7, 2])).snapshot.mesh_data().slots
    )
    assert slots.tolist() == [0, 1, 2, 2] * 3


def test_where_all_triangles_have_one_slot_none_are_sent():
    meshes = [
        with_slots(make.cube(), 0, [0, 1, 2]),
        with_slots(make.cube(), 1, [0, 1]),
        with_slots(make.cube(), 3, [1]),
        make.cube(),
    ]
    assert all(mesh_io.read_mesh(obj).snapshot.mesh_data().slots is None for obj in meshes)


def test_the_slots_that_a_modifier_gives_are_sent():
    obj = with_slots(make.cube(), 2, [0])
    solidify = obj.modifiers.new("Solidify", "SOLIDIFY")
    solidify.material_offset = 1
    mesh = mesh_io.read_mesh(obj).snapshot.mesh_data()
    inner = np.abs(mesh.vertices[mesh.faces]).max(axis=(1, 2)) < 1.0
    assert mesh.slots.tolist() == inner.astype(int).tolist()
    assert inner.sum() == 12


@pytest.mark.parametrize("count", [2, 0])
def test_a_take_leaves_the_slots_that_the_next_job_gets(count):
    obj = with_slots(make.cube(), count, [0, 1])
    before = mesh_io.read_mesh(obj).snapshot.mesh_data().slots
    assert (before is None) == (count == 0)
    make.apply(obj)
    assert len(obj.orbit_texture.takes) == 1
    np.testing.assert_array_equal(mesh_io.read_mesh(obj).snapshot.mesh_data().slots, before)


def test_modifiers_that_keep_the_topology_are_followed():
    obj = make.cube()
    obj.modifiers.new("Twist", "SIMPLE_DEFORM").deform_method = "TWIST"
    target = mesh_io.read_mesh(obj)
    vertices = target.snapshot.mesh_data().vertices
    assert len(vertices) == 8
    assert not np.allclose(np.abs(vertices), 1)
    assert target.loops is not None


def test_shape_keys_are_followed():
    obj = make.cube()
    obj.shape_key_add(name="Basis")
    key = obj.shape_key_add(name="Tall")
    for point in key.data:
        point.co.z *= 3
    key.value = 1.0
    assert mesh_io.read_mesh(obj).snapshot.mesh_data().vertices[:, 2].max() == pytest.approx(3)


def test_modifiers_that_change_the_topology_are_followed_when_there_are_uvs():
    obj = make.cube()
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
    target = mesh_io.read_mesh(obj)
    mesh = target.snapshot.mesh_data()
    assert len(mesh.faces) == 2 * 96
    assert mesh.corner_uvs.shape == (192, 3, 2)
    assert target.loops is None


def test_without_uvs_the_mesh_is_read_without_modifiers_that_change_its_topology():
    obj = make.cube(uvs=False)
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
    target = mesh_io.read_mesh(obj)
    assert len(target.snapshot.mesh_data().faces) == 12
    assert "modifiers" in target.notes[0]


def test_a_change_of_the_mesh_changes_the_topology_but_moving_vertices_does_not():
    obj = make.cube()
    target = mesh_io.read_mesh(obj)
    obj.data.vertices[0].co.x += 0.5
    assert mesh_io.topology_fingerprint(obj, target) == target.topology
    obj.modifiers.new("Subdivision", "SUBSURF")
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    assert mesh_io.topology_fingerprint(obj, target) != target.topology


def test_a_flat_object_still_has_unit_normals():
    obj = make.cube()
    obj.scale = (1, 1, 0)
    normals = mesh_io.read_mesh(obj).snapshot.mesh_data().corner_normals
    assert np.isfinite(normals).all()
    assert np.linalg.norm(normals[np.abs(normals).max(axis=-1) > 0], axis=-1) == pytest.approx(1)


def test_vertices_that_are_not_finite_are_left_to_the_worker():
    obj = make.cube()
    obj.data.vertices[0].co.x = float("nan")
    assert np.isnan(mesh_io.read_mesh(obj).snapshot.mesh_data().vertices).any()


def loop_triangles(mesh: bpy.types.Mesh) -> np.ndarray:
    mesh.calc_loop_triangles()
    loops = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("loops", loops)
    return loops.reshape(-1, 3)


@pytest.mark.every_blender
@pytest.mark.parametrize(
    "add",
    [make.suzanne, make.cube, bpy.ops.mesh.primitive_cylinder_add, bpy.ops.mesh.primitive_uv_sphere_add],
)
def test_polygons_are_cut_into_triangles_as_blender_cuts_them(add):
    add()
    obj = bpy.context.object
    np.testing.assert_array_equal(mesh_io.read_mesh(obj).loops, loop_triangles(obj.data))


@pytest.mark.every_blender
def test_quads_that_are_concave_or_twisted_are_cut_as_blender_cuts_them():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=50, y_subdivisions=50)
    mesh = bpy.context.object.data
    positions = np.random.default_rng(0).random((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_set("vector", positions.ravel())
    mesh.update()
    expected = loop_triangles(mesh)
    np.testing.assert_array_equal(mesh_io.read_mesh(bpy.context.object).loops, expected)
    other_diagonal = (expected[::2, 2] - expected[::2, 0] == 3).sum()
    assert 100 < other_diagonal < len(mesh.polygons) - 100


def test_a_mirroring_of_the_object_changes_the_topology_of_a_mesh_of_triangles_and_of_one_of_quads():
    for obj in (make.cube(), triangulated(make.cube())):
        before = mesh_io.read_mesh(obj).topology
        obj.scale.x = -1
        bpy.context.view_layer.update()
        assert mesh_io.read_mesh(obj).topology != before


def test_what_is_done_to_the_mesh_after_the_press_does_not_reach_the_job():
    obj = make.suzanne()
    target = mesh_io.read_mesh(obj)
    before = target.snapshot.mesh_data()
    obj.data.vertices.foreach_set("co", np.zeros(3 * len(obj.data.vertices), np.float32))
    obj.location.x = 100
    bpy.data.meshes.remove(obj.data)
    after = target.snapshot.mesh_data()
    for name in ("vertices", "faces", "polygons", "corner_normals", "corner_uvs"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_the_button_only_copies_arrays_and_the_thread_that_sends_works_out_triangles_and_fingerprint():
    target = mesh_io.read_mesh(make.suzanne())
    assert {"loops", "topology"}.isdisjoint(vars(target.snapshot).keys() | vars(target).keys())
    target.mesh_data()
    assert {"loops", "topology"} <= vars(target.snapshot).keys() | vars(target).keys()


def test_the_topology_that_files_remember_is_the_same_in_every_version():
    assert (
        mesh_io.read_mesh(make.suzanne()).topology
        == "08b1ce6bd6e5c67e33cf7bbf52591bc814ab7321ee360d245f57c4cbb03827c8"
    )
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2)
    assert (
        mesh_io.read_mesh(bpy.context.object).topology
        == "540fcc803637b14a702274e1815efea6e47670926dc6820d434e67829eeef23f"
    )


def test_the_main_thread_goes_on_while_another_prepares_a_million_triangles():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=708, y_subdivisions=708)
    thread = threading.Thread(target=mesh_io.read_mesh(bpy.context.object).mesh_data)
    longest, begun = 0.0, time.perf_counter()
    thread.start()
    while thread.is_alive():
        before = time.perf_counter()
        time.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    total = time.perf_counter() - begun
    print(f"\nprepared in {total * 1000:.0f} ms; the main thread waited {longest * 1000:.1f} ms at most")
    assert longest < total / 4
