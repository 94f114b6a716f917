"""Two takes in one picture, parted by a line: seen in an offscreen picture, and nowhere in the file."""

import bpy
import gpu
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import takes
from bl_ext.user_default.orbit_texture.addon.operators.compare import CompareTakes, right_of
from bl_ext.user_default.orbit_texture.addon.viewport import compare_overlay, confidence_overlay
from mathutils import Matrix

from tests.blender import make

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def cube_with_takes(*colors: tuple) -> bpy.types.Object:
    """Every second one brings a UV layer of its own."""
    obj = make.cube()
    for number, color in enumerate(colors):
        make.apply(obj, new_uvs=number % 2 == 1, textures={"base_color": make.png(color=color)})
    return obj


FRONT = Matrix(((1, 0, 0, 0), (0, 0, 1, 0), (0, 0.1, 0, 0), (0, 0, 0, 1)))


def drawn(obj, left: int, right: int, line: int, then=lambda: None) -> np.ndarray:
    """(16, 16, 4) RGBA 0..255 from the front, columns from the left; the cube fills it. ``then`` draws
    something more."""
    target = gpu.types.GPUOffScreen(16, 16)
    with target.bind():
        framebuffer = gpu.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 0, 0), depth=1)
        compare_overlay.draw(obj, left, right, line, (16, 16), FRONT)
        then()
        pixels = framebuffer.read_color(0, 0, 16, 16, 4, 0, "UBYTE")
    target.free()
    return np.array(pixels.to_list(), np.uint8).reshape(16, 16, 4)


@pytest.mark.parametrize("line", [0, 5, 16])
def test_one_take_is_left_of_the_line_and_the_other_right_of_it(graphics, line):
    picture = drawn(cube_with_takes(RED, GREEN), 0, 1, line)
    assert (picture[:, :line] == (*RED, 255)).all()
    assert (picture[:, line:] == (*GREEN, 255)).all()


def test_what_is_drawn_after_it_is_not_cut_off_at_the_line(graphics):
    obj = cube_with_takes(RED, GREEN)
    picture = drawn(obj, 0, 1, 5, then=lambda: confidence_overlay.draw(obj, "confidence", FRONT))
    assert (picture[:, :5, 1] > 150).all()  # green lies on the red too


def test_the_file_knows_nothing_of_the_comparison(graphics):
    obj = cube_with_takes(RED, GREEN)
    worn, slots, counts = takes.shown(obj), make.slots(obj), make.block_counts()
    drawn(obj, 0, 1, 8)
    assert (takes.shown(obj), make.slots(obj), make.block_counts()) == (worn, slots, counts)


def test_tab_goes_through_the_other_takes_and_begins_again():
    obj = cube_with_takes(RED, GREEN, BLUE)
    assert [right_of(obj, 1, right) for right in (0, 2)] == [2, 0]
    assert [right_of(obj, 0, right) for right in (0, 1, 2)] == [1, 2, 1]


def in_viewport():
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    return bpy.context.temp_override(
        area=area, region=next(region for region in area.regions if region.type == "WINDOW")
    )


@pytest.mark.every_blender
def test_it_needs_two_takes_that_can_be_drawn():
    obj = cube_with_takes(RED)
    with in_viewport():
        assert not CompareTakes.poll(bpy.context)
        make.apply(obj, new_uvs=False)
        assert CompareTakes.poll(bpy.context)
        bpy.data.images.remove(obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image)
        assert compare_overlay.comparable(obj) == [1]
        assert not CompareTakes.poll(bpy.context)
