"""Takes: what is added, that nothing else changes, and that a take goes without trace."""

import json

import bpy
import make
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon import scene, takes
from bl_ext.user_default.orbit_texture.addon.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.addon.identity import key_of
from bl_ext.user_default.orbit_texture.addon.queue import Entry, queue
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidTarget, OrbitError
from bl_ext.user_default.orbit_texture.backend.api.job import Result
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings


def apply(*objects, new_uvs: bool = True) -> Entry:
    """A result on objects that share a mesh, as Blender's timer applies it."""
    target = scene.read(objects[0])
    entry = Entry(objects[0].name, Settings(), tuple(map(key_of, objects)), target=target, topology=target.topology,
                  result=make.result(target, new_uvs))
    queue.entries.append(entry)
    queue.poll()
    return entry


def slots(obj) -> list:
    return [(slot.link, slot.material.name if slot.material else None) for slot in obj.material_slots]


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


def with_two_material_slots():
    obj = make.cube(uvs=False)
    obj.data.materials.append(bpy.data.materials.new("Red"))
    obj.data.materials.append(bpy.data.materials.new("Blue"))
    obj.material_slots[1].link = "OBJECT"
    obj.material_slots[1].material = bpy.data.materials.new("Own")
    for polygon in obj.data.polygons:
        polygon.material_index = polygon.index % 2
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

KINDS = [plain, without_uvs, with_modifiers, with_geometry_nodes, with_shape_keys, with_two_material_slots,
         with_material_indices_but_no_slots, with_weights_and_colors, with_custom_normals, with_a_negative_and_uneven_scale, with_a_parent]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_mesh_is_untouched_and_the_take_goes_without_trace(kind):
    obj = kind()
    bpy.context.view_layer.update()
    before, counts, materials = fingerprint(obj), make.block_counts(), slots(obj)
    layers = [layer.name for layer in obj.data.uv_layers]
    entry = apply(obj)
    assert entry.applied, entry.error
    take = obj.orbit_texture.takes[0]
    assert take.uv_layer not in layers
    assert fingerprint(obj, ignore=take.uv_layer) == before
    assert json.loads(take.report)["fingerprint"] == before
    assert json.loads(take.report)["mesh"] == "untouched"
    assert all(slot.material == take.material for slot in obj.material_slots)

    bpy.ops.orbit_texture.remove_take(index=0)
    assert fingerprint(obj) == before
    assert slots(obj) == materials
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
    "the active UV map": lambda obj: setattr(obj.data.uv_layers, "active_index", 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_sees(change):
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


def test_the_fingerprint_sees_an_input_of_geometry_nodes():
    obj = with_geometry_nodes()
    modifier = obj.modifiers[0]
    name = next(item.identifier for item in modifier.node_group.interface.items_tree if item.name == "Amount")
    before = fingerprint(obj)
    if hasattr(modifier, "properties"):
        getattr(modifier.properties.inputs, name).value = 0.7
    else:
        modifier[name] = 0.7
    assert fingerprint(obj) != before


def test_one_undo_step_removes_the_take_and_redo_brings_it_back():
    make.cube(uvs=False)
    bpy.ops.ed.undo_push(message="before")
    bpy.context.object.location.x = 3
    bpy.ops.ed.undo_push(message="moved")
    counts = make.block_counts()
    before = fingerprint(bpy.context.object)
    assert apply(bpy.context.object).applied

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


def uv_array(mesh) -> np.ndarray:
    uvs = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.attributes[mesh.uv_layers[0].name].data.foreach_get("vector", uvs)
    return uvs


def test_uvs_land_on_the_loops_of_their_triangle_corners():
    obj = make.suzanne(uvs=False)
    target = scene.read(obj)
    entry = apply(obj)
    written = uv_array(obj.data).reshape(-1, 2)
    expected = make.result(target).corner_uvs
    # A loop that two triangles share keeps one of the two, and the worker gives both the same; a chart's first triangle is enough to see.
    same = (written[target.loops] == expected).all(axis=-1)
    assert entry.applied
    assert same.any(axis=1).all()


def test_a_usable_uv_map_is_used_as_it_is():
    obj = make.suzanne()
    entry = apply(obj, new_uvs=False)
    assert entry.applied
    assert [layer.name for layer in obj.data.uv_layers] == ["UVMap"]
    assert obj.orbit_texture.takes[0].uv_layer == "UVMap"
    bpy.ops.orbit_texture.remove_take(index=0)
    assert [layer.name for layer in obj.data.uv_layers] == ["UVMap"]


def test_the_active_uv_maps_stay_active():
    obj = make.suzanne()
    obj.data.uv_layers.new(name="Render")
    obj.data.uv_layers["Render"].active_render = True
    obj.data.uv_layers.active_index = 0
    apply(obj)
    assert len(obj.data.uv_layers) == 3
    assert obj.data.uv_layers.active.name == "UVMap"
    assert obj.data.uv_layers["Render"].active_render
    bpy.ops.orbit_texture.remove_take(index=0)
    assert obj.data.uv_layers.active.name == "UVMap"
    assert obj.data.uv_layers["Render"].active_render


def test_an_object_that_shares_the_mesh_keeps_its_look():
    obj = make.cube(uvs=False)
    material = bpy.data.materials.new("Red")
    obj.data.materials.append(material)
    other = obj.copy()
    bpy.context.collection.objects.link(other)
    before = fingerprint(other)
    entry = apply(obj)
    assert entry.applied
    assert other.material_slots[0].material == material
    assert fingerprint(other, ignore=obj.orbit_texture.takes[0].uv_layer) == before


def test_objects_that_share_a_mesh_get_the_same_take_and_lose_it_one_by_one():
    obj = make.cube(uvs=False)
    other = obj.copy()
    bpy.context.collection.objects.link(other)
    counts = make.block_counts()
    assert apply(obj, other).applied
    assert obj.orbit_texture.takes[0].material == other.orbit_texture.takes[0].material
    assert len(bpy.data.materials) == 1
    takes.remove(obj, 0)
    assert len(obj.data.uv_layers) == len(bpy.data.materials) == 1
    assert obj.material_slots[0].material is None
    assert other.material_slots[0].material
    takes.remove(other, 0)
    assert (len(obj.data.uv_layers), len(obj.material_slots)) == (0, 0)
    assert make.block_counts() == counts


def test_removing_the_newest_take_shows_the_one_before_it():
    obj = make.cube(uvs=False)
    apply(obj)
    counts = make.block_counts()
    apply(obj, new_uvs=False)
    assert [take.name for take in obj.orbit_texture.takes] == ["Take 1", "Take 2"]
    assert takes.shown(obj) == 1
    bpy.ops.orbit_texture.remove_take(index=1)
    assert takes.shown(obj) == 0
    assert make.block_counts() == counts


def test_removing_the_first_take_keeps_the_uv_map_that_the_second_uses():
    obj = with_two_material_slots()
    materials, counts = slots(obj), make.block_counts()
    apply(obj)
    apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert takes.shown(obj) == 0
    assert obj.orbit_texture.takes[0].uv_layer in obj.data.uv_layers
    bpy.ops.orbit_texture.remove_take(index=0)
    assert slots(obj) == materials
    assert len(obj.data.uv_layers) == 0
    assert make.block_counts() == counts


def test_materials_that_the_user_sets_between_two_takes_come_back():
    obj = with_two_material_slots()
    apply(obj)
    obj.material_slots[0].material = bpy.data.materials.new("Later")
    apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.remove_take(index=1)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert [name for _, name in slots(obj)] == ["Later", "Own"]


def test_a_material_that_a_slot_hides_comes_back_too():
    obj = with_two_material_slots()
    slot = obj.material_slots[0]
    slot.link = "OBJECT"
    slot.material = bpy.data.materials.new("Hidden")
    slot.link = "DATA"
    apply(obj)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert slots(obj)[0] == ("DATA", "Red")
    slot = obj.material_slots[0]
    slot.link = "OBJECT"
    assert slot.material.name == "Hidden"


def test_another_take_can_be_shown():
    obj = make.cube()
    apply(obj, new_uvs=False)
    apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.show_take(index=0)
    assert takes.shown(obj) == 0


def test_the_material_shows_the_base_color_on_its_uv_map():
    obj = make.cube(uvs=False)
    apply(obj)
    nodes = obj.orbit_texture.takes[0].material.node_tree.nodes
    color = nodes["base_color"].outputs["Color"].links[0].to_socket
    assert (color.node.type, color.name) == ("BSDF_PRINCIPLED", "Base Color")
    assert nodes["base_color"].inputs["Vector"].links[0].from_node.uv_map == obj.orbit_texture.takes[0].uv_layer
    assert nodes["base_color"].image.colorspace_settings.name == "sRGB"
    for map in ("confidence", "coverage"):
        assert nodes[map].image.colorspace_settings.name == "Non-Color"
        assert not nodes[map].outputs["Color"].links


def two_quads_on_tiles(*tiles: int) -> bpy.types.Object:
    """Unit squares side by side, each on a UDIM tile of its own."""
    mesh = bpy.data.meshes.new("Quads")
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    corners = np.concatenate([np.add(square, (column, 0)) for column in range(len(tiles))])
    mesh.from_pydata(np.column_stack([corners, np.zeros(len(corners))]), [], np.arange(len(corners)).reshape(-1, 4).tolist())
    mesh.uv_layers.new(name="UVMap")
    uvs = np.concatenate([0.1 + 0.8 * square + ((tile - 1001) % 10, (tile - 1001) // 10) for tile in tiles])
    mesh.attributes["UVMap"].data.foreach_set("vector", uvs.astype(np.float32).ravel())
    obj = bpy.data.objects.new("Quads", mesh)
    bpy.context.collection.objects.link(obj)
    make.select(obj)
    return obj


def seen_from_above(obj: bpy.types.Object, file) -> np.ndarray:
    """(10, 20, 3) what Cycles renders of the squares, lit from everywhere."""
    render = bpy.context.scene.render
    render.engine, render.resolution_x, render.resolution_y, render.filepath = "CYCLES", 20, 10, str(file)
    bpy.context.scene.cycles.samples = 4
    bpy.context.scene.world = bpy.data.worlds.new("White")
    if bpy.app.version < (5, 0, 0):
        bpy.context.scene.world.use_nodes = True
    bpy.context.scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    camera = bpy.data.cameras.new("Camera")
    camera.type, camera.ortho_scale = "ORTHO", 2
    bpy.context.scene.camera = bpy.data.objects.new("Camera", camera)
    bpy.context.scene.camera.location = (1, 0.5, 2)
    bpy.context.collection.objects.link(bpy.context.scene.camera)
    bpy.ops.render.render(write_still=True)
    pixels = np.array(bpy.data.images.load(str(file)).pixels[:]).reshape(10, 20, 4)
    return pixels[..., :3]


@pytest.mark.parametrize("tiles", [(1001, 1002), (1002, 1013)])
def test_textures_of_udim_tiles_become_a_packed_tiled_image_that_renders(tiles, tmp_path):
    obj = two_quads_on_tiles(*tiles)
    colors = dict(zip(tiles, [(200, 30, 30), (30, 30, 200)], strict=True))
    target = scene.read(obj)
    textures = {f"{name}.{tile}": np.frombuffer(make.png(color=color), np.uint8)
                for name in ("base_color", "confidence") for tile, color in colors.items()}
    takes.add([obj], target, Result(None, textures, {}), Settings())
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    obj = bpy.data.objects["Quads"]
    image = obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image
    assert image.source == "TILED"
    assert [tile.number for tile in image.tiles] == list(tiles)
    assert len(image.packed_files) == 2
    shown = seen_from_above(obj, tmp_path / "shown.png")
    left, right = shown[2:8, 2:8].mean(axis=(0, 1)), shown[2:8, 12:18].mean(axis=(0, 1))
    assert left[0] > 2 * left[2]
    assert right[2] > 2 * right[0]
    takes.remove(obj, 0)
    assert not any(image.source == "TILED" for image in bpy.data.images)


def test_an_unreadable_tile_is_a_sentence_and_leaves_nothing():
    obj = two_quads_on_tiles(1001, 1002)
    before = make.block_counts()
    textures = {"base_color.1001": np.frombuffer(make.png(), np.uint8), "base_color.1002": np.arange(99, dtype=np.uint8)}
    with pytest.raises(OrbitError, match="cannot read"):
        takes.add([obj], scene.read(obj), Result(None, textures, {}), Settings())
    assert make.block_counts() == before


def test_a_take_survives_saving_and_opening(tmp_path):
    obj = make.cube(uvs=False)
    apply(obj)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    obj = bpy.data.objects["Cube"]
    image = obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image
    assert image.packed_file
    assert image.pixels[:3] == pytest.approx((200 / 255, 90 / 255, 30 / 255), abs=1e-3)
    counts = make.block_counts()
    takes.remove(obj, 0)
    assert len(bpy.data.images) == counts["images"] - 3


def test_a_mesh_that_changed_meanwhile_is_left_alone_and_the_result_kept():
    obj = make.cube(uvs=False)
    target = scene.read(obj)
    entry = Entry("Cube", Settings(), (key_of(obj),), target=target, topology=target.topology, result=make.result(target))
    queue.entries.append(entry)
    bpy.ops.ed.undo_push(message="before")
    obj.modifiers.new("Subdivision", "SUBSURF")
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    bpy.ops.ed.undo_push(message="subdivided")
    before, counts = fingerprint(obj), make.block_counts()
    queue.poll()
    assert "changed" in entry.error.message
    assert entry.result is not None
    assert (fingerprint(obj), make.block_counts()) == (before, counts)

    bpy.ops.ed.undo()
    bpy.ops.orbit_texture.retry(job=entry.job)
    queue.poll()
    assert entry.applied


def test_a_result_waits_while_the_user_is_in_edit_mode():
    obj = make.cube(uvs=False)
    target = scene.read(obj)
    entry = Entry("Cube", Settings(), (key_of(obj),), target=target, topology=target.topology, result=make.result(target))
    queue.entries.append(entry)
    bpy.ops.object.mode_set(mode="EDIT")
    queue.poll()
    assert not entry.settled
    assert "Object Mode" in entry.waits
    bpy.ops.orbit_texture.object_mode()
    queue.poll()
    assert entry.applied


def test_a_result_finds_its_object_after_a_rename_and_a_reload(tmp_path):
    obj = make.cube(uvs=False)
    target = scene.read(obj)
    entry = Entry("Cube", Settings(), (key_of(obj),), target=target, topology=target.topology, result=make.result(target))
    queue.entries.append(entry)
    obj.name = "Renamed"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    make.cube()
    queue.poll()
    assert "Open the file" in entry.waits
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    queue.poll()
    assert entry.applied
    assert len(bpy.data.objects["Renamed"].orbit_texture.takes) == 1


def test_a_texture_that_is_not_a_picture_leaves_nothing_behind():
    obj = make.cube(uvs=False)
    target = scene.read(obj)
    before, counts = fingerprint(obj), make.block_counts()
    broken = Result(make.result(target).corner_uvs, {"base_color": np.frombuffer(b"not a PNG", np.uint8)}, {})
    with pytest.raises(OrbitError, match="cannot read"):
        takes.add([obj], target, broken, Settings())
    assert (fingerprint(obj), make.block_counts()) == (before, counts)


def test_a_ninth_uv_map_is_refused_with_a_sentence():
    obj = make.cube()
    while len(obj.data.uv_layers) < 8:
        obj.data.uv_layers.new()
    target = scene.read(obj)
    before, counts = fingerprint(obj), make.block_counts()
    with pytest.raises(InvalidTarget, match="8 UV maps"):
        takes.add([obj], target, make.result(target), Settings())
    assert (fingerprint(obj), make.block_counts()) == (before, counts)
