"""Takes: what they add, several on one object, and results that cannot be applied."""

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import JobEntry, queue
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io, takes
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.addon.objects.identity import key_of
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidTarget, OrbitError
from bl_ext.user_default.orbit_texture.backend.api.job import Result
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender


def read_uvs(mesh) -> np.ndarray:
    uvs = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.attributes[mesh.uv_layers[0].name].data.foreach_get("vector", uvs)
    return uvs


def test_uvs_are_written_to_the_loops_of_their_triangle_corners():
    obj = make.suzanne(uvs=False)
    target = mesh_io.read_mesh(obj)
    entry = make.apply(obj)
    written = read_uvs(obj.data).reshape(-1, 2)
    expected = make.result(target).corner_uvs
    # The result has other UVs for each triangle, so a loop that two triangles share keeps those of one of
    # them.
    same = (written[target.loops] == expected).all(axis=-1)
    assert entry.applied
    assert same.any(axis=1).all()


def test_a_usable_uv_map_is_not_replaced():
    obj = make.suzanne()
    entry = make.apply(obj, new_uvs=False)
    assert entry.applied
    assert [layer.name for layer in obj.data.uv_layers] == ["UVMap"]
    assert obj.orbit_texture.takes[0].uv_layer == "UVMap"
    bpy.ops.orbit_texture.remove_take(index=0)
    assert [layer.name for layer in obj.data.uv_layers] == ["UVMap"]


def active_uv_maps(obj: bpy.types.Object) -> tuple[str, str]:
    """The active UV map and the one to render."""
    layers = obj.data.uv_layers
    return layers.active.name, next(layer.name for layer in layers if layer.active_render)


def with_two_uv_maps() -> bpy.types.Object:
    obj = make.suzanne()
    obj.data.uv_layers.new(name="Render")
    obj.data.uv_layers["Render"].active_render = True
    obj.data.uv_layers.active_index = 0
    return obj


def test_the_uv_map_of_the_shown_take_is_active_and_the_old_one_comes_back():
    obj = with_two_uv_maps()
    assert active_uv_maps(obj) == ("UVMap", "Render")
    make.apply(obj)
    assert len(obj.data.uv_layers) == 3
    assert active_uv_maps(obj) == (mesh_io.UV_LAYER, mesh_io.UV_LAYER)
    make.apply(obj)
    bpy.ops.orbit_texture.remove_take(index=1)
    assert active_uv_maps(obj) == (mesh_io.UV_LAYER, mesh_io.UV_LAYER)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert active_uv_maps(obj) == ("UVMap", "Render")


def test_each_take_brings_its_own_uv_map():
    obj = make.suzanne()
    make.apply(obj, new_uvs=False)
    assert active_uv_maps(obj) == ("UVMap", "UVMap")
    make.apply(obj)
    bpy.ops.orbit_texture.show_take(index=0)
    assert active_uv_maps(obj) == ("UVMap", "UVMap")
    bpy.ops.orbit_texture.show_take(index=1)
    assert active_uv_maps(obj) == (mesh_io.UV_LAYER, mesh_io.UV_LAYER)


def test_a_uv_map_that_the_user_has_made_active_since_stays_so():
    obj = with_two_uv_maps()
    make.apply(obj)
    obj.data.uv_layers.active = obj.data.uv_layers["Render"]
    bpy.ops.orbit_texture.remove_take(index=0)
    assert obj.data.uv_layers.active.name == "Render"


def test_the_old_uv_map_comes_back_after_the_last_take_of_a_shared_mesh():
    first = with_two_uv_maps()
    second = bpy.data.objects.new("Second", first.data)
    bpy.context.collection.objects.link(second)
    make.apply(first)
    make.apply(second)
    own = second.orbit_texture.takes[0].uv_layer
    for obj, expected in ((first, (own, own)), (second, ("UVMap", "Render"))):
        make.select(obj)
        bpy.ops.orbit_texture.remove_take(index=0)
        assert active_uv_maps(first) == expected


def test_an_object_that_shares_the_mesh_keeps_its_material():
    obj = make.cube(uvs=False)
    material = bpy.data.materials.new("Red")
    obj.data.materials.append(material)
    other = obj.copy()
    bpy.context.collection.objects.link(other)
    before = fingerprint(other)
    entry = make.apply(obj)
    assert entry.applied
    assert other.material_slots[0].material == material
    assert fingerprint(other, ignore=obj.orbit_texture.takes[0].uv_layer) == before


def test_objects_that_share_a_mesh_get_the_same_take_and_lose_it_one_by_one():
    obj = make.cube(uvs=False)
    other = obj.copy()
    bpy.context.collection.objects.link(other)
    counts = make.block_counts()
    assert make.apply(obj, other).applied
    assert obj.orbit_texture.takes[0].material == other.orbit_texture.takes[0].material
    assert len(bpy.data.materials) == 1
    takes.remove_take(obj, 0)
    assert len(obj.data.uv_layers) == len(bpy.data.materials) == 1
    assert obj.material_slots[0].material is None
    assert other.material_slots[0].material
    takes.remove_take(other, 0)
    assert (len(obj.data.uv_layers), len(obj.material_slots)) == (0, 0)
    assert make.block_counts() == counts


def test_removing_the_newest_take_shows_the_one_before_it():
    obj = make.cube(uvs=False)
    make.apply(obj)
    counts = make.block_counts()
    make.apply(obj, new_uvs=False)
    assert [take.name for take in obj.orbit_texture.takes] == ["Take 1", "Take 2"]
    assert takes.find_shown_index(obj) == 1
    bpy.ops.orbit_texture.remove_take(index=1)
    assert takes.find_shown_index(obj) == 0
    assert make.block_counts() == counts


def test_removing_the_first_take_keeps_the_uv_map_that_the_second_uses():
    obj = make.with_two_material_slots()
    materials, counts = make.slots(obj), make.block_counts()
    make.apply(obj)
    make.apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert takes.find_shown_index(obj) == 0
    assert obj.orbit_texture.takes[0].uv_layer in obj.data.uv_layers
    bpy.ops.orbit_texture.remove_take(index=0)
    assert make.slots(obj) == materials
    assert len(obj.data.uv_layers) == 0
    assert make.block_counts() == counts


def test_materials_set_between_two_takes_are_restored():
    obj = make.with_two_material_slots()
    make.apply(obj)
    obj.material_slots[0].material = bpy.data.materials.new("Later")
    make.apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.remove_take(index=1)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert [name for _, name in make.slots(obj)] == ["Later", "Own"]


def test_a_material_hidden_by_a_slots_link_is_restored():
    obj = make.with_two_material_slots()
    slot = obj.material_slots[0]
    slot.link = "OBJECT"
    slot.material = bpy.data.materials.new("Hidden")
    slot.link = "DATA"
    make.apply(obj)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert make.slots(obj)[0] == ("DATA", "Red")
    slot = obj.material_slots[0]
    slot.link = "OBJECT"
    assert slot.material.name == "Hidden"


def test_another_take_can_be_shown():
    obj = make.cube()
    make.apply(obj, new_uvs=False)
    make.apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.show_take(index=0)
    assert takes.find_shown_index(obj) == 0


def test_the_material_shows_the_base_color_on_its_uv_map():
    obj = make.cube(uvs=False)
    make.apply(obj)
    nodes = obj.orbit_texture.takes[0].material.node_tree.nodes
    color = nodes["base_color"].outputs["Color"].links[0].to_socket
    assert (color.node.type, color.name) == ("BSDF_PRINCIPLED", "Base Color")
    assert (
        nodes["base_color"].inputs["Vector"].links[0].from_node.uv_map == obj.orbit_texture.takes[0].uv_layer
    )
    assert nodes["base_color"].image.colorspace_settings.name == "sRGB"
    for name in ("confidence", "coverage"):
        assert nodes[name].image.colorspace_settings.name == "Non-Color"
        assert not nodes[name].outputs["Color"].links


def two_quads_on_tiles(*tiles: int) -> bpy.types.Object:
    """Unit squares side by side, each on its own UDIM tile."""
    mesh = bpy.data.meshes.new("Quads")
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    corners = np.concatenate([np.add(square, (column, 0)) for column in range(len(tiles))])
    mesh.from_pydata(
        np.column_stack([corners, np.zeros(len(corners))]),
        [],
        np.arange(len(corners)).reshape(-1, 4).tolist(),
    )
    mesh.uv_layers.new(name="UVMap")
    uvs = np.concatenate([0.1 + 0.8 * square + ((tile - 1001) % 10, (tile - 1001) // 10) for tile in tiles])
    mesh.attributes["UVMap"].data.foreach_set("vector", uvs.astype(np.float32).ravel())
    obj = bpy.data.objects.new("Quads", mesh)
    bpy.context.collection.objects.link(obj)
    make.select(obj)
    return obj


def render_from_above(obj: bpy.types.Object, file) -> np.ndarray:
    """(10, 20, 3) the squares rendered by Cycles, lit evenly."""
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
    target = mesh_io.read_mesh(obj)
    textures = {
        f"{name}.{tile}": np.frombuffer(make.png(color=color), np.uint8)
        for name in ("base_color", "confidence")
        for tile, color in colors.items()
    }
    takes.add_take([obj], target, Result(None, textures, {}), Settings())
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    obj = bpy.data.objects["Quads"]
    image = obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image
    assert image.source == "TILED"
    assert [tile.number for tile in image.tiles] == list(tiles)
    assert len(image.packed_files) == 2
    shown = render_from_above(obj, tmp_path / "shown.png")
    left, right = shown[2:8, 2:8].mean(axis=(0, 1)), shown[2:8, 12:18].mean(axis=(0, 1))
    assert left[0] > 2 * left[2]
    assert right[2] > 2 * right[0]
    takes.remove_take(obj, 0)
    assert not any(image.source == "TILED" for image in bpy.data.images)


def test_an_unreadable_tile_is_reported_and_leaves_no_data_blocks():
    obj = two_quads_on_tiles(1001, 1002)
    before = make.block_counts()
    textures = {
        "base_color.1001": np.frombuffer(make.png(), np.uint8),
        "base_color.1002": np.arange(99, dtype=np.uint8),
    }
    with pytest.raises(OrbitError, match="cannot read"):
        takes.add_take([obj], mesh_io.read_mesh(obj), Result(None, textures, {}), Settings())
    assert make.block_counts() == before


def test_a_take_survives_saving_and_opening(tmp_path):
    obj = make.cube(uvs=False)
    make.apply(obj)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    obj = bpy.data.objects["Cube"]
    image = obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image
    assert image.packed_file
    assert image.pixels[:3] == pytest.approx((200 / 255, 90 / 255, 30 / 255), abs=1e-3)
    counts = make.block_counts()
    takes.remove_take(obj, 0)
    assert len(bpy.data.images) == counts["images"] - 3


def add_finished_job(obj: bpy.types.Object) -> JobEntry:
    """A job in the queue whose result has arrived and is not applied yet."""
    target = mesh_io.read_mesh(obj)
    entry = JobEntry(
        "Cube",
        Settings(),
        (key_of(obj),),
        target=target,
        topology=target.topology,
        result=make.result(target),
    )
    queue.entries.append(entry)
    return entry


def test_a_mesh_that_changed_during_the_job_is_kept_and_so_is_the_result():
    obj = make.cube(uvs=False)
    entry = add_finished_job(obj)
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
    entry = add_finished_job(obj)
    bpy.ops.object.mode_set(mode="EDIT")
    queue.poll()
    assert not entry.is_settled
    assert "Object Mode" in entry.obstacle
    bpy.ops.orbit_texture.object_mode()
    queue.poll()
    assert entry.applied


def test_a_result_reaches_its_object_after_a_rename_and_a_reload(tmp_path):
    obj = make.cube(uvs=False)
    entry = add_finished_job(obj)
    obj.name = "Renamed"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    make.cube()
    queue.poll()
    assert "Open the file" in entry.obstacle
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    queue.poll()
    assert entry.applied
    assert len(bpy.data.objects["Renamed"].orbit_texture.takes) == 1


def flip_one_bit(png: bytes) -> bytes:
    """The PNG with one bit of its pixels flipped."""
    at = png.index(b"IDAT") + 8
    return png[:at] + bytes([png[at] ^ 1]) + png[at + 1 :]


@pytest.mark.parametrize("file", [b"not a PNG", make.png()[:-1], make.png() + b"!", flip_one_bit(make.png())])
def test_a_texture_that_is_no_png_leaves_no_data_blocks(file):
    obj = make.cube(uvs=False)
    target = mesh_io.read_mesh(obj)
    before, counts = fingerprint(obj), make.block_counts()
    broken = Result(make.result(target).corner_uvs, {"base_color": np.frombuffer(file, np.uint8)}, {})
    with pytest.raises(OrbitError, match="cannot read"):
        takes.add_take([obj], target, broken, Settings())
    assert (fingerprint(obj), make.block_counts()) == (before, counts)


def test_a_ninth_uv_map_is_reported():
    obj = make.cube()
    while len(obj.data.uv_layers) < 8:
        obj.data.uv_layers.new()
    target = mesh_io.read_mesh(obj)
    before, counts = fingerprint(obj), make.block_counts()
    with pytest.raises(InvalidTarget, match="8 UV maps"):
        takes.add_take([obj], target, make.result(target), Settings())
    assert (fingerprint(obj), make.block_counts()) == (before, counts)
