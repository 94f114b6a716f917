"""Adding a take changes nothing of the user's, and removing it leaves nothing behind."""

import json

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint

from tests.blender import make


def plain():
    return make.suzanne()


def without_uvs():
    return make.suzanne(uvs=False)


def with_modifiers():
    obj = make.suzanne(uvs=False)
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 1
    obj.modifiers.new("Bend", "SIMPLE_DEFORM").angle = 0.3
    return obj


def with_shape_keys():
    obj = make.suzanne(uvs=False)
    obj.shape_key_add(name="Basis")
    obj.shape_key_add(name="Key").data[3].co.x += 1
    obj.data.shape_keys.key_blocks["Key"].value = 0.5
    return obj


def with_material_indices_but_no_slots():
    obj = make.cube(uvs=False)
    for polygon in obj.data.polygons:
        polygon.material_index = polygon.index % 3
    return obj


def with_weights_and_colors():
    obj = make.suzanne()
    obj.vertex_groups.new(name="Group").add([0, 5, 9], 0.25, "REPLACE")
    obj.data.color_attributes.new("Color", "BYTE_COLOR", "CORNER").data[0].color = (1, 0, 0, 1)
    obj.data.attributes.new("Value", "FLOAT", "FACE").data[2].value = 0.5
    return obj


def with_custom_normals():
    obj = make.cube()
    obj.data.normals_split_custom_set([(0.6, 0.0, 0.8)] * len(obj.data.loops))
    return obj


def with_a_negative_and_uneven_scale():
    obj = make.suzanne(uvs=False)
    obj.scale, obj.rotation_euler = (-1, 2, 0.3), (0.2, 0.4, 0.6)
    return obj


def with_geometry_nodes():
    obj = make.cube(uvs=False)
    tree = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Amount", in_out="INPUT", socket_type="NodeSocketFloat")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    tree.links.new(tree.nodes.new("NodeGroupInput").outputs[0], tree.nodes.new("NodeGroupOutput").inputs[0])
    obj.modifiers.new("Nodes", "NODES").node_group = tree
    return obj


def with_a_parent():
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.collection.objects.link(parent)
    parent.location, parent.scale = (1, 2, 3), (2, 2, 2)
    obj = make.suzanne(uvs=False)
    obj.parent = parent
    obj.constraints.new("LIMIT_ROTATION").max_x = 0.1
    bpy.context.view_layer.update()
    return obj


pytestmark = pytest.mark.every_blender

KINDS = [
    plain,
    without_uvs,
    with_modifiers,
    with_geometry_nodes,
    with_shape_keys,
    make.with_two_material_slots,
    with_material_indices_but_no_slots,
    with_weights_and_colors,
    with_custom_normals,
    with_a_negative_and_uneven_scale,
    with_a_parent,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_mesh_is_untouched_and_the_take_is_removed_completely(kind):
    obj = kind()
    bpy.context.view_layer.update()
    before, counts, materials = fingerprint(obj), make.block_counts(), make.slots(obj)
    layers = [layer.name for layer in obj.data.uv_layers]
    entry = make.apply(obj)
    assert entry.applied, entry.error
    take = obj.orbit_texture.takes[0]
    assert take.uv_layer not in layers
    assert fingerprint(obj, ignore=take.uv_layer) == before
    assert json.loads(take.report)["fingerprint"] == before
    assert json.loads(take.report)["mesh"] == "untouched"
    assert all(slot.material == take.material for slot in obj.material_slots)

    bpy.ops.orbit_texture.remove_take(index=0)
    assert fingerprint(obj) == before
    assert make.slots(obj) == materials
    assert make.block_counts() == counts


CHANGES = {
    "a vertex": lambda obj: setattr(obj.data.vertices[0].co, "x", 9.0),
    "an edge": lambda obj: setattr(obj.data.edges[0], "use_seam", True),
    "a face's slot": lambda obj: setattr(obj.data.polygons[0], "material_index", 1),
    "smoothing": lambda obj: setattr(obj.data.polygons[0], "use_smooth", True),
    "a UV": lambda obj: setattr(obj.data.uv_layers[0].data[0], "uv", (0.9, 0.9)),
    "a weight": lambda obj: obj.vertex_groups[0].add([3], 0.5, "REPLACE"),
    "a shape key": lambda obj: setattr(obj.data.shape_keys.key_blocks[1].data[0].co, "x", 9.0),
    "a shape key's value": lambda obj: setattr(obj.data.shape_keys.key_blocks[1], "value", 0.7),
    "a modifier": lambda obj: setattr(obj.modifiers[0], "angle", 0.9),
    "a constraint": lambda obj: setattr(obj.constraints[0], "max_x", 0.9),
    "a colour": lambda obj: setattr(obj.data.color_attributes[0].data[0], "color", (0, 1, 0, 1)),
    "the location": lambda obj: setattr(obj, "location", (1, 1, 1)),
    "the name": lambda obj: setattr(obj, "name", "Other"),
    "the mesh's name": lambda obj: setattr(obj.data, "name", "Other"),
    "a UV map's name": lambda obj: setattr(obj.data.uv_layers[1], "name", "Other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_detects_a_change(change):
    obj = make.cube()
    obj.data.uv_layers.new(name="Second")
    obj.data.uv_layers.active_index = 0
    obj.vertex_groups.new(name="Group").add([0, 3], 0.25, "REPLACE")
    obj.shape_key_add(name="Basis")
    obj.shape_key_add(name="Key")
    obj.modifiers.new("Bend", "SIMPLE_DEFORM").angle = 0.3
    obj.constraints.new("LIMIT_ROTATION").max_x = 0.1
    obj.data.color_attributes.new("Color", "FLOAT_COLOR", "POINT")
    bpy.context.view_layer.update()
    before = fingerprint(obj)
    assert fingerprint(obj) == before
    CHANGES[change](obj)
    assert fingerprint(obj) != before


def test_the_fingerprint_detects_a_changed_geometry_nodes_input():
    obj = with_geometry_nodes()
    modifier = obj.modifiers[0]
    name = next(item.identifier for item in modifier.node_group.interface.items_tree if item.name == "Amount")
    before = fingerprint(obj)
    if hasattr(modifier, "properties"):
        getattr(modifier.properties.inputs, name).value = 0.7
    else:
        modifier[name] = 0.7
    assert fingerprint(obj) != before


def test_one_undo_step_removes_the_take_and_redo_restores_it():
    make.cube(uvs=False)
    bpy.ops.ed.undo_push(message="before")
    bpy.context.object.location.x = 3
    bpy.ops.ed.undo_push(message="moved")
    counts = make.block_counts()
    before = fingerprint(bpy.context.object)
    assert make.apply(bpy.context.object).applied

    bpy.ops.ed.undo()
    obj = bpy.context.object
    assert (len(obj.orbit_texture.takes), len(obj.data.uv_layers), len(obj.material_slots)) == (0, 0, 0)
    assert obj.location.x == 3
    assert fingerprint(obj) == before
    assert make.block_counts() == counts

    bpy.ops.ed.redo()
    obj = bpy.context.object
    take = obj.orbit_texture.takes[0]
    assert obj.material_slots[0].material == take.material
    uvs = np.empty(len(obj.data.loops) * 2, np.float32)
    obj.data.uv_layers[take.uv_layer].uv.foreach_get("vector", uvs)
    assert uvs.std() > 0.1
