"""Texture Scene and instances of collections: instanced objects are textured once, and linked ones are
reported."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import texturing
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io, takes

from tests.blender import make


def make_collection(name: str, *objects: bpy.types.Object) -> bpy.types.Collection:
    """Moves objects into a new collection that is in no scene."""
    collection = bpy.data.collections.new(name)
    for obj in objects:
        for other in list(obj.users_collection):
            other.objects.unlink(obj)
        collection.objects.link(obj)
    return collection


def add_instance(collection: bpy.types.Collection) -> bpy.types.Object:
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    bpy.context.scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    return empty


def link_props(folder) -> bpy.types.Collection:
    """Links the collection "Props", with the cube "Barrel", from a file in the folder."""
    barrel = make.cube()
    barrel.name = "Barrel"
    props = make_collection("Props", barrel)
    bpy.data.libraries.write(str(folder / "library.blend"), {props})
    bpy.data.objects.remove(barrel)
    bpy.data.collections.remove(props)
    with bpy.data.libraries.load(str(folder / "library.blend"), link=True) as (_, wanted):
        wanted.collections = ["Props"]
    return wanted.collections[0]


def texture_everything(folder) -> list:
    (folder / "reference.png").write_bytes(make.png())
    settings = bpy.context.scene.orbit_texture
    settings.image = bpy.data.images.load(str(folder / "reference.png"))
    settings.targets = "VISIBLE"
    bpy.ops.orbit_texture.texture_scene()
    make.poll_until_settled(queue)
    return queue.entries


@pytest.mark.worker
def test_objects_of_a_collection_are_textured_once_for_all_instances(tmp_path, scripted_worker):
    chair, outside = make.scripted_cube("Chair"), make.scripted_cube("Outside")
    inner = make_collection("Chairs", chair)
    for _ in range(2):
        add_instance(inner)
    around = add_instance(inner)
    add_instance(make_collection("Room", around))
    entries = texture_everything(tmp_path)
    assert sorted((entry.name, entry.applied) for entry in entries) == [("Chair", True), ("Outside", True)]
    assert takes.find_shown_index(chair) == takes.find_shown_index(outside) == 0


@pytest.mark.worker
def test_an_object_instanced_from_a_library_is_reported_and_left_unchanged(tmp_path, scripted_worker):
    make.scripted_cube("Own")
    barrel = link_props(tmp_path).objects[0]
    add_instance(bpy.data.collections["Props"])
    own, skipped = sorted(texture_everything(tmp_path), key=lambda entry: entry.applied, reverse=True)
    assert own.applied
    assert skipped.name == "Barrel [library.blend]"
    assert str(tmp_path / "library.blend") in skipped.error.message
    assert "Open that file" in skipped.error.message
    assert not barrel.material_slots


def test_real_and_local_instances_from_a_library_can_be_textured(tmp_path):
    empty = add_instance(link_props(tmp_path))
    make.select(empty)
    bpy.ops.object.duplicates_make_real()
    [real] = [obj for obj in bpy.context.selected_objects if obj.type == "MESH"]
    make.select(real)
    bpy.ops.object.make_local(type="SELECT_OBDATA")
    mesh_io.check_object(bpy.context.object)


def test_objects_hidden_in_a_collection_or_without_an_instance_are_skipped():
    shown, hidden, alone = make.cube(), make.cube(), make.cube()
    hidden.hide_viewport = True
    add_instance(make_collection("Both", shown, hidden))
    make_collection("Nowhere", alone)
    assert texturing.find_objects(None) == [shown]
    mesh_io.check_object(shown)
    with pytest.raises(mesh_io.InvalidTarget, match="not in the current view layer"):
        mesh_io.check_object(alone)


def test_a_named_instance_stands_for_the_objects_of_its_collection():
    cube = make.cube()
    empty = add_instance(make_collection("Cubes", cube))
    assert texturing.find_objects([empty.name, empty.name]) == [cube]


def test_modifiers_of_an_instanced_object_are_applied():
    cube = make.cube()
    cube.modifiers.new("Subdivision", "SUBSURF")
    add_instance(make_collection("Cubes", cube))
    assert len(mesh_io.read_mesh(cube).mesh_data().faces) > 12
