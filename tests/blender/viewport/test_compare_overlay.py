"""The comparison of two takes: drawn into an offscreen image, and stored nowhere in the file."""

import bpy
import gpu
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import takes
from bl_ext.user_default.orbit_texture.addon.operators.compare import CompareTakes, next_comparable
from bl_ext.user_default.orbit_texture.addon.viewport import compare_overlay, confidence_overlay
from mathutils import Matrix

from tests.blender import make

pytestmark = pytest.mark.every_blender

PURE_RED = (255, 0, 0)
PURE_GREEN = (0, 255, 0)
PURE_BLUE = (0, 0, 255)


def cube_with_takes(*colors: tuple) -> bpy.types.Object:
    """A cube with a take of each colour; every second one has its own UV layer."""
    obj = make.cube()
    for number, color in enumerate(colors):
        make.apply(obj, new_uvs=number % 2 == 1, textures={"base_color": make.png(color=color)})
    return obj


FRONT = Matrix(((1, 0, 0, 0), (0, 0, 1, 0), (0, 0.1, 0, 0), (0, 0, 0, 1)))


def draw_offscreen(obj, left: int, right: int, line: int, then=lambda: None) -> np.ndarray:
    """(16, 16, 4) RGBA 0..255 of the cube from the front, which fills the image. ``then`` draws something on
    top."""
    target = gpu.types.GPUOffScreen(16, 16)
    with target.bind():
        framebuffer = gpu.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 0, 0), depth=1)
        compare_overlay.draw_takes(obj, left, right, line, (16, 16), FRONT)
        then()
        pixels = framebuffer.read_color(0, 0, 16, 16, 4, 0, "UBYTE")
    target.free()
    return np.array(pixels.to_list(), np.uint8).reshape(16, 16, 4)


@pytest.mark.parametrize("line", [0, 5, 16])
def test_one_take_is_drawn_left_of_the_line_and_the_other_right_of_it(graphics, line):
    pixels = draw_offscreen(cube_with_takes(PURE_RED, PURE_GREEN), 0, 1, line)
    assert (pixels[:, :line] == (*PURE_RED, 255)).all()
    assert (pixels[:, line:] == (*PURE_GREEN, 255)).all()


def test_the_line_does_not_clip_what_is_drawn_later(graphics):
    obj = cube_with_takes(PURE_RED, PURE_GREEN)
    pixels = draw_offscreen(
        obj, 0, 1, 5, then=lambda: confidence_overlay.draw_overlay(obj, "confidence", FRONT)
    )
    assert (pixels[:, :5, 1] > 150).all()  # green covers the red too


def test_the_comparison_changes_nothing_in_the_file(graphics):
    obj = cube_with_takes(PURE_RED, PURE_GREEN)
    worn, slots, counts = takes.find_shown_index(obj), make.slots(obj), make.block_counts()
    draw_offscreen(obj, 0, 1, 8)
    assert (takes.find_shown_index(obj), make.slots(obj), make.block_counts()) == (worn, slots, counts)


def test_tab_cycles_through_the_other_takes():
    obj = cube_with_takes(PURE_RED, PURE_GREEN, PURE_BLUE)
    assert [next_comparable(obj, 1, right) for right in (0, 2)] == [2, 0]
    assert [next_comparable(obj, 0, right) for right in (0, 1, 2)] == [1, 2, 1]


def in_viewport():
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    return bpy.context.temp_override(
        area=area, region=next(region for region in area.regions if region.type == "WINDOW")
    )


@pytest.mark.every_blender
def test_compare_takes_needs_two_takes_that_can_be_drawn():
    obj = cube_with_takes(PURE_RED)
    with in_viewport():
        assert not CompareTakes.poll(bpy.context)
        make.apply(obj, new_uvs=False)
        assert CompareTakes.poll(bpy.context)
        bpy.data.images.remove(obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image)
        assert compare_overlay.comparable_takes(obj) == [1]
        assert not CompareTakes.poll(bpy.context)
