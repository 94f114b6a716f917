"""Repaint Region: what is marked, what of the take is kept, and what is refused."""

import json

import bmesh
import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.headless.rules import Plan
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io, region, takes
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidImage, InvalidTarget
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender

TEXTURE_SIZE = 1024


@pytest.fixture
def obj():
    """A cube that shows a take of one colour on its own UV map."""
    obj = make.cube()
    assert add_plain_take(obj).applied
    return obj


def add_plain_take(obj, **more):
    files = {
        "base_color": make.png(TEXTURE_SIZE, TEXTURE_SIZE),
        "confidence": make.png(TEXTURE_SIZE, TEXTURE_SIZE, (200,)),
        "coverage": make.png(TEXTURE_SIZE, TEXTURE_SIZE, (255,)),
    }
    return make.apply(
        obj, new_uvs=False, textures=files, **{"settings": Settings(texture_size=TEXTURE_SIZE)} | more
    )


@pytest.fixture
def reference_settings(tmp_path):
    settings = bpy.context.scene.orbit_texture
    settings.image = bpy.data.images.load(str(make.reference(tmp_path)))
    settings.voxel_resolution, settings.texture_size = "128", "2048"
    settings.view, settings.azimuth, settings.elevation = "GIVEN", 20, 20


def find_shown_take(obj):
    return obj.orbit_texture.takes[takes.find_shown_index(obj)]


def select_faces(obj, *numbers: int) -> None:
    """Selects faces as an artist would: in Edit Mode, which stays on."""
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_mode(type="FACE")
    bpy.ops.mesh.select_all(action="DESELECT")
    mesh = bmesh.from_edit_mesh(obj.data)
    mesh.faces.ensure_lookup_table()
    for number in numbers:
        mesh.faces[number].select = True
    bmesh.update_edit_mesh(obj.data)


def read_pixels(image) -> np.ndarray:
    """(H, W, 3) values 0..255 of an image, row 0 at the top."""
    values = np.empty((image.size[1], image.size[0], 4), np.float32)
    image.pixels.foreach_get(values.ravel())
    return np.round(255 * values[::-1, :, :3])


def texels_of_face(obj, face: int, size: int) -> tuple[slice, slice]:
    """The rows and columns of a texture inside a rectangular face, without its border."""
    uvs = np.empty(len(obj.data.loops) * 2, np.float32)
    obj.data.attributes["UVMap"].data.foreach_get("vector", uvs)
    corners = uvs.reshape(-1, 2)[list(obj.data.polygons[face].loop_indices)] * size
    low, high = np.ceil(corners.min(axis=0)).astype(int) + 2, np.floor(corners.max(axis=0)).astype(int) - 2
    return slice(size - high[1], size - low[1]), slice(low[0], high[0])


@pytest.mark.worker
def test_only_the_selected_faces_change_in_the_next_take(obj, reference_settings):
    select_faces(obj, 2, 4)
    bpy.ops.object.mode_set(mode="OBJECT")
    before = fingerprint(obj)
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.orbit_texture.repaint_region() == {"FINISHED"}
    assert obj.mode == "OBJECT"
    make.poll_until_settled(queue, seconds=600.0)
    assert queue.entries[-1].applied, queue.entries[-1].error
    first, second = obj.orbit_texture.takes
    assert takes.find_shown_index(obj) == 1
    assert fingerprint(obj) == before
    assert second.uv_layer == first.uv_layer == "UVMap"
    for name in ("base_color", "confidence"):
        old, new = (read_pixels(take.material.node_tree.nodes[name].image) for take in (first, second))
        assert new.shape == old.shape == (TEXTURE_SIZE, TEXTURE_SIZE, 3)
        for face in range(6):
            same = np.array_equal(
                new[texels_of_face(obj, face, TEXTURE_SIZE)], old[texels_of_face(obj, face, TEXTURE_SIZE)]
            )
            assert same == (face not in (2, 4)), (name, face)
    assert "painted anew" in second.report
    assert second.name == "repaint: reference.png"
    assert tuple(second.material.preview.image_size) == (64, 64)
    assert queue.entries[-1].thumbnail.std() > 0
    assert json.loads(second.settings)["seed"] != json.loads(first.settings)["seed"]


def test_a_selected_face_selects_all_of_its_triangles(obj):
    select_faces(obj, 3)
    bpy.ops.object.mode_set(mode="OBJECT")
    marked = mesh_io.read_selection(obj, own_topology=True)
    kept = region.prepare_repaint(obj, find_shown_take(obj), marked).kept
    assert kept.region.tolist() == [0] * 6 + [1, 1] + [0] * 4
    assert set(kept.textures) == {"base_color", "confidence", "coverage"}
    assert kept.textures["base_color"].tobytes() == make.png(TEXTURE_SIZE, TEXTURE_SIZE)


def test_copies_of_selected_faces_by_a_modifier_are_selected():
    obj = make.cube()
    obj.modifiers.new("Array", "ARRAY")
    add_plain_take(obj)
    assert not find_shown_take(obj).own_topology
    select_faces(obj, 3)
    bpy.ops.object.mode_set(mode="OBJECT")
    assert mesh_io.read_selection(obj, find_shown_take(obj).own_topology).tolist() == 2 * (
        [0] * 6 + [1, 1] + [0] * 4
    )
    obj.modifiers.new("Bevel", "BEVEL")
    with pytest.raises(InvalidTarget, match="do not keep the selection"):
        mesh_io.read_selection(obj, find_shown_take(obj).own_topology)


def test_mark_region_paints_on_its_own_mask_and_keeps_the_mesh(obj):
    before = fingerprint(obj)
    assert bpy.ops.orbit_texture.mark_region() == {"FINISHED"}
    assert obj.mode == "TEXTURE_PAINT"
    paint = bpy.context.scene.tool_settings.image_paint
    assert (paint.mode, paint.canvas) == ("IMAGE", obj.orbit_texture.region)
    assert read_pixels(paint.canvas).max() == 0
    mask = np.zeros((*paint.canvas.size, 4), np.float32)
    mask[-10:, :20, 0] = 0.5
    paint.canvas.pixels.foreach_set(mask.ravel())
    bpy.ops.object.mode_set(mode="OBJECT")
    assert fingerprint(obj) == before
    marked = region.read_mask(obj, find_shown_take(obj))
    assert (marked[:10, :20] == 128).all()
    assert np.count_nonzero(marked) == 200
    bpy.ops.orbit_texture.mark_region()
    assert bpy.context.scene.tool_settings.image_paint.canvas == obj.orbit_texture.region
    assert read_pixels(obj.orbit_texture.region).max() == 128
    bpy.ops.orbit_texture.clear_region()
    assert obj.orbit_texture.region is None


def test_an_empty_mask_is_reported_and_starts_no_job(obj, reference_settings):
    bpy.ops.orbit_texture.mark_region()
    entries = list(queue.entries)
    with pytest.raises(RuntimeError, match="Nothing is marked"):
        bpy.ops.orbit_texture.repaint_region()
    assert queue.entries == entries


def test_a_mesh_that_changed_since_the_take_is_reported(obj, reference_settings):
    uvs = obj.data.attributes["UVMap"].data
    uvs[0].vector = (0.4, 0.4)
    with pytest.raises(RuntimeError, match="changed since 'Take 1' was made"):
        bpy.ops.orbit_texture.mark_region()
    select_faces(obj, 0)
    with pytest.raises(RuntimeError, match="changed since 'Take 1' was made"):
        bpy.ops.orbit_texture.repaint_region()
    obj.data.uv_layers.remove(obj.data.uv_layers[0])
    with pytest.raises(RuntimeError, match="UV map 'UVMap' of 'Take 1' no longer exists"):
        bpy.ops.orbit_texture.mark_region()


def test_a_moved_vertex_does_not_invalidate_a_take(obj):
    obj.data.vertices[0].co.x += 1
    region.check_layout(obj, find_shown_take(obj))


def test_repaint_region_needs_a_take_a_reference_and_a_region(obj, reference_settings):
    assert not bpy.ops.orbit_texture.repaint_region.poll()
    select_faces(obj)
    assert not bpy.ops.orbit_texture.repaint_region.poll()
    select_faces(obj, 1)
    assert bpy.ops.orbit_texture.repaint_region.poll()
    bpy.context.scene.orbit_texture.image = None
    assert not bpy.ops.orbit_texture.repaint_region.poll()
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.orbit_texture.remove_take(index=0)
    assert not bpy.ops.orbit_texture.mark_region.poll()


def test_a_mask_on_another_uv_map_than_the_takes_is_reported(obj):
    bpy.ops.orbit_texture.mark_region()
    bpy.ops.object.mode_set(mode="OBJECT")
    obj.orbit_texture.region_layer = "Another"
    with pytest.raises(InvalidTarget, match="marked on the UV map 'Another'"):
        region.read_mask(obj, find_shown_take(obj))
    obj.data.uv_layers.active = obj.data.uv_layers.new(name="Other")
    with pytest.raises(RuntimeError, match="Blender paints on the active UV map"):
        bpy.ops.orbit_texture.mark_region()


def test_a_repaint_has_the_takes_size_and_a_new_seed(obj):
    add_plain_take(obj, settings=Settings(texture_size=TEXTURE_SIZE, seed=1))
    made = region.repaint_settings(
        obj, find_shown_take(obj), Settings(painter="orbitpainter", texture_size=4096)
    )
    assert (made.painter, made.texture_size, made.seed) == ("orbitpainter", TEXTURE_SIZE, 2)
    assert region.repaint_settings(obj, find_shown_take(obj), Settings(seed=7)).seed == 7


def test_objects_that_share_the_mesh_and_the_take_get_the_repaint_too(obj):
    other = obj.copy()
    stranger = obj.copy()
    for copy in (other, stranger):
        bpy.context.collection.objects.link(copy)
    stranger.material_slots[0].material = None
    assert region.objects_showing(obj, find_shown_take(obj)) == [obj, other]


def test_a_mask_file_is_read_upright_and_a_broken_one_is_reported(obj, tmp_path):
    image = bpy.data.images.new("mask", 8, 4)
    values = np.zeros((4, 8, 4), np.float32)
    values[-1, :3] = 1
    image.pixels.foreach_set(values.ravel())
    image.filepath_raw, image.file_format = str(tmp_path / "mask.png"), "PNG"
    image.save()
    count = len(bpy.data.images)
    assert region.read_mask_file(tmp_path / "mask.png").tolist() == [[255] * 3 + [0] * 5, *3 * [[0] * 8]]
    (tmp_path / "broken.png").write_bytes(b"no image")
    for name in ("broken.png", "nothing.png"):
        with pytest.raises(InvalidImage, match="mask"):
            region.read_mask_file(tmp_path / name)
    assert len(bpy.data.images) == count


def test_a_plan_with_a_mask_repaints_the_shown_take(obj):
    mask = np.full((4, 4), 255, np.uint8)
    plan = Plan(lambda obj: Settings(), marked=mask)
    made = plan.repaint_of(obj)
    assert (made.layer, made.kept.region is mask) == ("UVMap", True)
    assert plan.settings_of(obj).seed == 1
    with pytest.raises(InvalidTarget, match="shows no take"):
        plan.repaint_of(make.cube())
    assert Plan(lambda obj: Settings()).repaint_of(obj) is None
