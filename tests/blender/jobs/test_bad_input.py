"""Input that cannot be textured is refused with a readable message, and the .blend is not changed."""

import contextlib

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.backend.api import job

from tests.blender import make

pytestmark = pytest.mark.every_blender


@pytest.fixture(autouse=True)
def reference(tmp_path):
    (tmp_path / "reference.png").write_bytes(make.png())
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "reference.png"))
    return bpy.context.scene.orbit_texture.image


@contextlib.contextmanager
def assert_unchanged():
    """Fails if the file's contents have changed afterwards."""

    def state():
        meshes = [obj for obj in bpy.data.objects if obj.type == "MESH" and obj.mode == "OBJECT"]
        owned = [
            (obj.name, obj.orbit_texture.id, obj.orbit_texture.pending, len(obj.orbit_texture.takes))
            for obj in bpy.data.objects
        ]
        return make.block_counts(), {obj.name: fingerprint(obj) for obj in meshes}, owned

    before = state()
    yield
    assert state() == before


def assert_refused(message: str, operator=None) -> None:
    with assert_unchanged(), pytest.raises(RuntimeError, match=message):
        (operator or bpy.ops.orbit_texture.texture_selected)()
    assert not queue.busy


def test_an_empty_mesh_is_refused():
    obj = bpy.data.objects.new("Nothing", bpy.data.meshes.new("Nothing"))
    bpy.context.collection.objects.link(obj)
    make.select(obj)
    assert_refused("no faces")


def test_a_mesh_without_faces_is_refused():
    obj = bpy.data.objects.new("Points", bpy.data.meshes.new("Points"))
    obj.data.from_pydata([(0, 0, 0), (1, 0, 0)], [(0, 1)], [])
    bpy.context.collection.objects.link(obj)
    make.select(obj)
    assert_refused("no faces")


def test_an_object_in_edit_mode_is_refused():
    make.cube()
    bpy.ops.object.mode_set(mode="EDIT")
    assert_refused("Edit Mode")
    assert queue.entries[-1].error.fix == "object_mode"


def test_a_curve_is_refused():
    bpy.ops.curve.primitive_bezier_curve_add()
    assert_refused("not a mesh.*Convert")


def test_an_empty_object_is_refused():
    bpy.ops.object.empty_add()
    assert_refused("not a mesh")


def test_texture_selected_with_nothing_selected_is_refused():
    make.cube()
    make.select()
    assert_refused("Nothing is selected")


def test_a_hidden_object_is_refused():
    obj = make.cube()
    obj.hide_set(True)
    bpy.context.view_layer.objects.active = obj
    with assert_unchanged(), pytest.raises(RuntimeError, match="Nothing is selected"):
        bpy.ops.orbit_texture.texture_selected()


def test_an_object_from_a_library_is_refused(tmp_path):
    make.cube()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"), copy=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.objects = source.objects
    obj = target.objects[0]
    bpy.context.collection.objects.link(obj)
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "reference.png"))
    make.select(obj)
    assert_refused("linked")


def test_a_local_object_with_a_linked_mesh_is_refused(tmp_path):
    make.cube()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"), copy=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.meshes = source.meshes
    obj = bpy.data.objects.new("Local", target.meshes[0])
    bpy.context.collection.objects.link(obj)
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "reference.png"))
    make.select(obj)
    assert_refused("linked")


def test_a_mesh_with_too_many_triangles_is_refused(monkeypatch):
    make.suzanne()
    monkeypatch.setattr(job, "MAX_TRIANGLES", 500)
    assert_refused("968 triangles and the limit is 500")


def test_a_modifier_that_adds_too_many_triangles_is_refused(monkeypatch):
    obj = make.cube()
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 3
    monkeypatch.setattr(job, "MAX_TRIANGLES", 500)
    assert_refused("768 triangles and the limit is 500")


def test_texture_selected_needs_a_reference():
    make.cube()
    bpy.context.scene.orbit_texture.image = None
    with assert_unchanged(), pytest.raises(RuntimeError, match="There is no reference for 'Cube'"):
        bpy.ops.orbit_texture.texture_selected()


def test_a_reference_whose_file_is_missing_is_refused(reference, tmp_path):
    make.cube()
    (tmp_path / "reference.png").unlink()
    assert_refused("no reference image at")


def test_a_movie_as_reference_is_refused(reference):
    make.cube()
    reference.source = "MOVIE"
    assert_refused("not a single still image")


def test_texture_scene_with_nothing_to_texture_is_refused():
    bpy.ops.object.empty_add()
    assert_refused("No mesh object is selected", bpy.ops.orbit_texture.texture_scene)


def test_texture_scene_without_any_reference_is_refused():
    make.cube()
    bpy.context.scene.orbit_texture.image = None
    with assert_unchanged():
        bpy.ops.orbit_texture.texture_scene()
    assert "no reference for 'Cube'" in queue.entries[-1].error.message


def test_a_job_without_an_installed_worker_fails(monkeypatch, tmp_path):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path / "home"))
    obj = make.cube()
    before, counts = fingerprint(obj), make.block_counts()
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue, seconds=20)
    error = queue.entries[-1].error
    assert (error.code, error.fix) == ("no_worker", "install_backend")
    assert (fingerprint(obj), make.block_counts()) == (before, counts)
    assert not obj.orbit_texture.takes
    assert not obj.orbit_texture.pending
