"""Reading an object into the arrays of a job."""

import bpy
import make
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon import scene


def signed_volume(mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def test_vertices_are_in_world_space():
    obj = make.cube()
    obj.location, obj.scale = (5, 0, 0), (1, 2, 3)
    mesh = scene.read(obj).mesh
    assert mesh.vertices.min(axis=0) == pytest.approx([4, -2, -3])
    assert mesh.vertices.max(axis=0) == pytest.approx([6, 2, 3])
    assert signed_volume(mesh) == pytest.approx(48)


def test_triangles_and_normals_point_outward_under_a_negative_scale():
    obj = make.suzanne()
    obj.scale = (-1, 2, 0.5)
    mesh = scene.read(obj).mesh
    assert signed_volume(mesh) > 0
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    geometric = np.cross(b - a, c - a)
    assert (np.einsum("fi,fci->fc", geometric, mesh.corner_normals) > 0).mean() > 0.99
    assert np.linalg.norm(mesh.corner_normals, axis=-1) == pytest.approx(1, abs=1e-4)


def test_every_triangle_corner_knows_its_loop_and_uv():
    obj = make.suzanne()
    obj.scale = (-1, 1, 1)
    target = scene.read(obj)
    loops, uvs = obj.data.loops, obj.data.uv_layers.active.uv
    for face in (0, 100, 900):
        for corner in range(3):
            loop = int(target.loops[face, corner])
            assert loops[loop].vertex_index == target.mesh.faces[face, corner]
            assert uvs[loop].vector[:] == pytest.approx(target.mesh.corner_uvs[face, corner])
    polygons = obj.data.polygons
    assert all(loop in polygons[polygon].loop_indices for loop, polygon in zip(target.loops[:, 0], target.mesh.polygons, strict=True))


def test_a_mesh_of_triangles_sends_no_polygons():
    obj = make.cube()
    bpy.ops.object.modifier_add(type="TRIANGULATE")
    bpy.ops.object.modifier_apply(modifier=obj.modifiers[0].name)
    target = scene.read(obj)
    assert target.mesh.polygons is None
    assert len(target.mesh.faces) == 12


def test_modifiers_that_keep_the_topology_are_followed():
    obj = make.cube()
    obj.modifiers.new("Twist", "SIMPLE_DEFORM").deform_method = "TWIST"
    target = scene.read(obj)
    assert len(target.mesh.vertices) == 8
    assert not np.allclose(np.abs(target.mesh.vertices), 1)
    assert target.loops is not None


def test_shape_keys_are_followed():
    obj = make.cube()
    obj.shape_key_add(name="Basis")
    key = obj.shape_key_add(name="Tall")
    for point in key.data:
        point.co.z *= 3
    key.value = 1.0
    assert scene.read(obj).mesh.vertices[:, 2].max() == pytest.approx(3)


def test_modifiers_that_change_the_topology_are_followed_when_there_are_uvs():
    obj = make.cube()
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
    target = scene.read(obj)
    assert len(target.mesh.faces) == 2 * 96
    assert target.mesh.corner_uvs.shape == (192, 3, 2)
    assert target.loops is None


def test_without_uvs_the_mesh_is_read_without_modifiers_that_change_its_topology():
    obj = make.cube(uvs=False)
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
    target = scene.read(obj)
    assert len(target.mesh.faces) == 12
    assert "modifiers" in target.notes[0]


def test_a_change_of_the_mesh_changes_the_topology_but_moving_vertices_does_not():
    obj = make.cube()
    target = scene.read(obj)
    obj.data.vertices[0].co.x += 0.5
    assert scene.topology(obj, target) == target.topology
    obj.modifiers.new("Subdivision", "SUBSURF")
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    assert scene.topology(obj, target) != target.topology


def test_a_flat_object_still_has_unit_normals():
    obj = make.cube()
    obj.scale = (1, 1, 0)
    normals = scene.read(obj).mesh.corner_normals
    assert np.isfinite(normals).all()
    assert np.linalg.norm(normals[np.abs(normals).max(axis=-1) > 0], axis=-1) == pytest.approx(1)


def test_vertices_that_are_not_finite_are_left_to_the_worker():
    obj = make.cube()
    obj.data.vertices[0].co.x = float("nan")
    assert np.isnan(scene.read(obj).mesh.vertices).any()
