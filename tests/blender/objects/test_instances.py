"""Texture Scene and instances of collections: what is instanced is textured once, and what cannot be changed
here is told."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import texturing
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io, takes

from tests.blender import make


def collection_of(name: str, *objects: bpy.types.Object) -> bpy.types.Collection:
    """A collection that holds the objects, which nothing else does any more; it is in no scene."""
    collection = bpy.data.collections.new(name)
    for obj in objects:
        for other in list(obj.users_collection):
            other.objects.unlink(obj)
        collection.objects.link(obj)
    return collection


def instance(collection: bpy.types.Collection) -> bpy.types.Object:
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    bpy.context.scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    return empty


def linked(folder) -> bpy.types.Collection:
    """The collection "Props", linked from a file in the folder, with the cube "Barrel"."""
    barrel = make.cube()
    barrel.name = "Barrel"
    props = collection_of("Props", barrel)
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
def test_what_a_collection_holds_is_textured_once_however_often_and_deep_it_is_instanced(
    tmp_path, scripted_worker
):
    chair, outside = make.scripted_cube("Chair"), make.scripted_cube("Outside")
    inner = collection_of("Chairs", chair)
    for _ in range(2):
        instance(inner)
    around = instance(inner)
    instance(collection_of("Room", around))
    entries = texture_everything(tmp_path)
    assert sorted((entry.name, entry.applied) for entry in entries) == [("Chair", True), ("Outside", True)]
    assert takes.shown(chair) == takes.shown(outside) == 0


@pytest.mark.worker
def test_an_object_instanced_from_a_library_is_told_and_stays_as_it_is_and_the_others_are_textured(
    tmp_path, scripted_worker
):
    make.scripted_cube("Own")
    barrel = linked(tmp_path).objects[0]
    instance(bpy.data.collections["Props"])
    own, skipped = sorted(texture_everything(tmp_path), key=lambda entry: entry.applied, reverse=True)
    assert own.applied
    assert skipped.name == "Barrel [library.blend]"
    assert str(tmp_path / "library.blend") in skipped.error.message
    assert "Open that file" in skipped.error.message
    assert not barrel.material_slots


def test_making_the_instances_real_and_local_is_what_the_sentence_says(tmp_path):
    empty = instance(linked(tmp_path))
    make.select(empty)
    bpy.ops.object.duplicates_make_real()
    [real] = [obj for obj in bpy.context.selected_objects if obj.type == "MESH"]
    make.select(real)
    bpy.ops.object.make_local(type="SELECT_OBDATA")
    mesh_io.check(bpy.context.object)


def test_what_is_hidden_in_a_collection_is_not_textured_and_an_object_without_an_instance_is_told_so():
    shown, hidden, alone = make.cube(), make.cube(), make.cube()
    hidden.hide_viewport = True
    instance(collection_of("Both", shown, hidden))
    collection_of("Nowhere", alone)
    assert texturing.find_objects(None) == [shown]
    mesh_io.check(shown)
    with pytest.raises(mesh_io.InvalidTarget, match="not in the current view layer"):
        mesh_io.check(alone)


def test_an_instance_that_is_named_means_what_it_holds():
    cube = make.cube()
    empty = instance(collection_of("Cubes", cube))
    assert texturing.find_objects([empty.name, empty.name]) == [cube]


def test_modifiers_of_an_instanced_object_are_followed():
    cube = make.cube()
    cube.modifiers.new("Subdivision", "SUBSURF")
    instance(collection_of("Cubes", cube))
    assert len(mesh_io.read(cube).mesh_data().faces) > 12
