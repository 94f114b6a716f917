"""Where modifiers keep the viewport from showing a take, the preflight and the take's notes say so."""

import json

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.checks import preflight
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidTarget
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make, nodes

pytestmark = pytest.mark.every_blender


def read_notices(obj: bpy.types.Object) -> str:
    bpy.context.view_layer.update()
    return " ".join(notice.text for notice in preflight.notices(obj, Settings(), None))


def read_notes(obj: bpy.types.Object) -> str:
    return " ".join(json.loads(obj.orbit_texture.takes[-1].report)["notes"])


def texture(obj: bpy.types.Object) -> str:
    """Gives the object a take as a worker would; returns its notes."""
    target = mesh_io.read_mesh(obj)
    entry = make.apply(obj, new_uvs=not target.uv_layer)
    assert entry.applied, entry.error
    return read_notes(obj)


def shows_take(obj: bpy.types.Object) -> bool:
    """Whether every face that the viewport shows wears the take's material and has its UV map."""
    seen = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    take = obj.orbit_texture.takes[-1]
    slots = [slot.material and slot.material.original for slot in seen.material_slots]
    worn = {slots[min(polygon.material_index, len(slots) - 1)] for polygon in seen.data.polygons}
    return worn == {take.material} and take.uv_layer in seen.data.uv_layers


def scarlet() -> bpy.types.Material:
    return bpy.data.materials.new("Scarlet")


def two_slots() -> bpy.types.Object:
    obj = make.with_two_material_slots()
    obj.data.uv_layers.new(name="UVMap")
    return obj


@pytest.mark.parametrize("make_object", [make.cube, two_slots])
@pytest.mark.parametrize(
    ("build", "share"),
    [
        (lambda: nodes.set_material(scarlet()), "all faces"),
        (lambda: nodes.in_group(nodes.set_material(scarlet())), "all faces"),
        (lambda: nodes.set_material(scarlet(), faces=3), "50% of the faces"),
    ],
)
def test_a_material_that_nodes_set_is_told(make_object, build, share):
    obj = make_object()
    obj.data.materials.append(bpy.data.materials.new("Own"))
    nodes.add_modifier(obj, build())
    for sentence in (read_notices(obj), texture(obj)):
        assert "'Scarlet'" in sentence
        assert share in sentence
        assert "Set Material" in sentence
    assert not shows_take(obj)


def test_a_material_that_nodes_set_on_a_mesh_without_slots_is_told():
    obj = make.cube()
    nodes.add_modifier(obj, nodes.set_material(scarlet()))
    assert "'Scarlet'" in read_notices(obj)
    assert "'Scarlet'" in texture(obj)


def test_nodes_that_set_a_material_of_the_objects_own_slots_show_the_take():
    obj = two_slots()
    nodes.add_modifier(obj, nodes.set_material(obj.data.materials[1]))
    assert "Set Material" not in read_notices(obj)
    assert "Set Material" not in texture(obj)
    assert shows_take(obj)


def test_a_material_index_without_a_slot_is_told_and_the_last_slot_shows_the_take():
    obj = two_slots()
    nodes.add_modifier(obj, nodes.set_material_index(1))
    assert read_notices(obj) == texture(obj).removeprefix("A note.").strip() == ""
    obj = two_slots()
    nodes.add_modifier(obj, nodes.set_material_index(7))
    assert "material slot" in texture(obj)
    assert shows_take(obj)


def remesh(obj: bpy.types.Object) -> None:
    obj.modifiers.new("Blocks", "REMESH").octree_depth = 2


@pytest.mark.parametrize(
    "change",
    [
        remesh,
        lambda obj: nodes.add_modifier(obj, nodes.make_volume_mesh),
        lambda obj: nodes.add_modifier(obj, nodes.remove_uv_map),
    ],
)
def test_a_lost_uv_map_is_told(change):
    obj = make.cube()
    change(obj)
    for sentence in (read_notices(obj), texture(obj)):
        assert "UV map 'UVMap'" in sentence
        assert obj.modifiers[0].name in sentence
        assert "shows through" not in sentence
    assert not shows_take(obj)


@pytest.mark.parametrize(
    ("build", "share"), [(nodes.replace_by_hull, "all faces"), (nodes.realize_cubes, "89% of the faces")]
)
@pytest.mark.parametrize("uvs", [True, False])
def test_faces_that_nodes_give_no_area_in_the_uv_map_are_told(build, share, uvs):
    obj = make.cube(uvs)
    nodes.add_modifier(obj, build)
    sentences = [texture(obj), *([read_notices(obj)] if uvs else [])]
    for sentence in sentences:
        assert f"{share} no area in the UV map" in sentence


def test_faces_that_have_no_area_without_modifiers_are_not_told():
    obj = make.cube()
    obj.data.attributes["UVMap"].data.foreach_set("vector", [0.5] * 48)
    obj.modifiers.new("Subdivision", "SUBSURF")
    assert "no area" not in read_notices(obj)


def test_a_new_uv_map_that_is_lost_is_told_after_the_job():
    obj = make.cube(uvs=False)
    remesh(obj)
    assert "UV map 'Orbit Texture'" in texture(obj)


def test_faces_that_nodes_add_without_uvs_are_told():
    obj = make.cube()
    nodes.add_modifier(obj, nodes.join_cube)
    for sentence in (read_notices(obj), texture(obj)):
        assert "50% of the faces" in sentence
        assert "UV map 'UVMap'" in sentence


@pytest.mark.parametrize("uvs", [True, False])
def test_modifiers_that_keep_material_and_uv_map_are_not_told(uvs):
    obj = make.cube(uvs)
    obj.modifiers.new("Subdivision", "SUBSURF")
    obj.modifiers.new("Array", "ARRAY")
    notes = texture(obj)
    assert shows_take(obj)
    assert "UV map '" not in notes
    assert "material" not in notes


def test_objects_that_share_a_mesh_are_judged_one_by_one():
    obj = make.cube()
    other = bpy.data.objects.new("Other", obj.data)
    bpy.context.collection.objects.link(other)
    nodes.add_modifier(other, nodes.set_material(scarlet()))
    make.apply(obj, other, new_uvs=False)
    assert "'Scarlet'" in read_notes(other)
    assert "'Scarlet'" not in read_notes(obj)


def collection_with_a_cube() -> bpy.types.Collection:
    collection = bpy.data.collections.new("Props")
    collection.objects.link(bpy.data.objects.new("Prop", make.cube().data))
    return collection


@pytest.mark.parametrize(
    "build",
    [
        lambda: nodes.instance_cubes(),
        lambda: nodes.in_group(nodes.instance_cubes()),
        lambda: nodes.instance_collection(collection_with_a_cube()),
    ],
)
def test_an_object_that_only_instances_is_refused(build):
    tree = build()
    obj = make.cube()
    nodes.add_modifier(obj, tree)
    assert "Realize Instances" in read_notices(obj)
    with pytest.raises(InvalidTarget, match="Realize Instances"):
        mesh_io.read_mesh(obj)


def test_instances_beside_the_objects_own_mesh_are_told():
    obj = make.cube()
    nodes.add_modifier(obj, nodes.instance_cubes(keep=True))
    for sentence in (read_notices(obj), texture(obj)):
        assert "Realize Instances" in sentence
    assert shows_take(obj)


def test_realized_instances_are_a_mesh():
    obj = make.cube()
    nodes.add_modifier(obj, nodes.instance_cubes())
    nodes.add_modifier(obj, lambda *ends: nodes.chain(*ends, "RealizeInstances"), "Realize")
    assert "Realize Instances" not in read_notices(obj)
    assert "Realize Instances" not in texture(obj)


@pytest.mark.parametrize("kind", ["VERTS", "FACES"])
def test_a_hidden_mesh_that_places_its_children_is_refused(kind):
    child, obj = make.cube(), make.suzanne()
    child.parent, obj.instance_type = obj, kind
    assert "instance" not in read_notices(obj)
    obj.show_instancer_for_viewport = False
    assert "instances" in read_notices(obj)


@pytest.mark.parametrize("build", [nodes.remove_all, nodes.make_volume])
def test_modifiers_that_leave_no_face_are_told(build):
    obj = make.cube()
    nodes.add_modifier(obj, build)
    for sentence in (read_notices(obj), texture(obj)):
        assert "leave no faces" in sentence
        assert "Nodes" in sentence
