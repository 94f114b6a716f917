"""The confidence overlay: drawn into an offscreen image, and stored nowhere in the file."""

import bpy
import gpu
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io
from bl_ext.user_default.orbit_texture.addon.viewport import confidence_overlay
from mathutils import Matrix

from tests.blender import make

pytestmark = pytest.mark.every_blender


def draw_offscreen(obj, kind: str) -> np.ndarray:
    """The central pixel of the overlay from the front, RGBA 0..255."""
    target = gpu.types.GPUOffScreen(16, 16)
    with target.bind():
        framebuffer = gpu.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 0, 0), depth=1)
        confidence_overlay.draw_overlay(
            obj, kind, Matrix(((0.5, 0, 0, 0), (0, 0, 0.5, 0), (0, 0.1, 0, 0), (0, 0, 0, 1)))
        )
        pixels = framebuffer.read_color(0, 0, 16, 16, 4, 0, "UBYTE")
    target.free()
    return np.array(pixels.to_list(), np.uint8).reshape(16, 16, 4)[8, 8]


@pytest.mark.parametrize(("confidence", "color"), [(255, (0, 255)), (0, (255, 0)), (128, (255, 255))])
def test_well_seen_surface_is_green_and_other_surface_is_red(graphics, confidence, color):
    obj = make.cube(uvs=False)
    make.apply(obj, textures={"confidence": make.png(color=(confidence,))})
    red, green, blue, alpha = (
        draw_offscreen(obj, "confidence").astype(float) / draw_offscreen(obj, "confidence")[3] * 255
    )
    assert (red, green) == pytest.approx(color, abs=4)
    assert (blue, alpha) == (0, 255)


@pytest.mark.parametrize(
    ("source", "meaning"),
    [((255, 0, 0), "From the picture"), ((0, 255, 0), "Mirrored"), ((0, 0, 255), "Invented")],
)
def test_the_confidence_of_a_draft_is_where_its_colours_are_from(graphics, source, meaning):
    obj = make.cube(uvs=False)
    make.apply(obj, textures={"color_source": make.png(color=source)})
    legend = confidence_overlay.find_legend(obj, "confidence")
    assert list(legend) == ["From the picture", "Mirrored", "Invented"]
    drawn = draw_offscreen(obj, "confidence").astype(float)
    np.testing.assert_allclose(drawn[:3] / drawn[3], legend[meaning], atol=0.02)


def test_there_is_a_legend_only_for_what_is_drawn():
    obj = make.cube(uvs=False)
    assert confidence_overlay.find_legend(obj, "confidence") == {}
    make.apply(obj)
    assert list(confidence_overlay.find_legend(obj, "confidence")) == ["Well seen", "Hardly seen"]
    assert list(confidence_overlay.find_legend(obj, "coverage")) == ["Seen", "Filled in"]


def test_the_overlay_follows_a_mesh_that_changes(graphics):
    obj = make.cube(uvs=False)
    make.apply(obj)
    assert draw_offscreen(obj, "coverage")[3] > 0
    obj.data.transform(Matrix.Translation((10, 0, 0)))
    obj.data.update()
    bpy.context.view_layer.update()
    assert draw_offscreen(obj, "coverage")[3] == 0


def test_a_mask_is_drawn_over_the_take_while_it_is_painted(graphics):
    obj = make.cube()
    make.apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.mark_region()
    mask = obj.orbit_texture.region
    red, green, blue, alpha = draw_offscreen(obj, "region").astype(int)
    assert red > green > blue, "the take's orange"
    assert alpha == 255
    mask.pixels.foreach_set(np.ones(mask.size[0] * mask.size[1] * 4, np.float32))
    mask.update()
    marked = draw_offscreen(obj, "region").astype(int)
    assert marked[0] > red + 20
    assert marked[1] < green
    assert marked[2] > blue + 100
    bpy.ops.object.mode_set(mode="OBJECT")
    assert draw_offscreen(obj, "region")[3] == 0


def test_an_object_without_a_take_has_no_overlay(graphics):
    assert draw_offscreen(make.cube(), "confidence")[3] == 0


def test_the_overlay_changes_nothing_in_the_file(tmp_path):
    obj = make.cube(uvs=False)
    make.apply(obj)
    slots, counts = make.slots(obj), make.block_counts()
    links = [
        (link.from_node.name, link.to_node.name) for link in obj.material_slots[0].material.node_tree.links
    ]
    bpy.context.window_manager.orbit_texture_overlay = "CONFIDENCE"
    assert (make.slots(obj), make.block_counts()) == (slots, counts)
    assert [
        (link.from_node.name, link.to_node.name) for link in obj.material_slots[0].material.node_tree.links
    ] == links


def test_triangles_and_uvs_are_those_that_the_viewport_shows():
    obj = make.suzanne()
    obj.modifiers.new("Array", "ARRAY")
    positions, uvs = mesh_io.read_corners(obj, "UVMap")
    assert positions.shape == (2 * 968 * 3, 3)
    assert uvs.shape == (2 * 968 * 3, 2)
    assert np.ptp(positions[:, 0]) > 4
    assert mesh_io.read_corners(obj, "Nothing") is None
