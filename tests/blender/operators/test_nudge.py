"""Nudge View: where the reference is drawn over the mesh, and how keys change the view."""

import json

import bpy
import gpu
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io
from bl_ext.user_default.orbit_texture.addon.operators.nudge import (
    NudgeState,
    NudgeView,
    apply_drag,
    apply_key,
    find_automatic_view,
    place_pins,
)
from bl_ext.user_default.orbit_texture.addon.reference_check.check import Question, ReferenceCheck
from bl_ext.user_default.orbit_texture.addon.reference_check.checks import checks
from bl_ext.user_default.orbit_texture.addon.viewport import image_overlay, image_placement, reference_view
from mathutils import Euler, Matrix

from tests.blender import make

pytestmark = pytest.mark.every_blender


def test_an_image_is_drawn_into_its_rectangle_with_its_opacity(graphics, tmp_path):
    (tmp_path / "brown.png").write_bytes(make.png(color=(200, 90, 30)))
    image = bpy.data.images.load(str(tmp_path / "brown.png"))
    target = gpu.types.GPUOffScreen(16, 16)
    with target.bind():
        framebuffer = gpu.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 0, 1))
        with gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            gpu.matrix.load_identity()
            gpu.matrix.load_projection_matrix(
                Matrix(((1 / 8, 0, 0, -1), (0, 1 / 8, 0, -1), (0, 0, 1, 0), (0, 0, 0, 1)))
            )
            image_overlay.draw_image(image, (0, 0, 8, 16))
            image_overlay.draw_image(image, (8, 0, 4, 16), 0.5)
        drawn = np.array(framebuffer.read_color(0, 0, 16, 16, 4, 0, "UBYTE").to_list(), np.uint8).reshape(
            16, 16, 4
        )[..., :3]
    target.free()
    # Linear: a viewport's framebuffer would convert it to sRGB, this one does not.
    brown = 255 * ((np.array((200, 90, 30)) / 255 + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(drawn[:, :8], np.broadcast_to(brown, (16, 8, 3)), atol=1)
    np.testing.assert_allclose(drawn[:, 8:12], np.broadcast_to(brown / 2, (16, 4, 3)), atol=1)
    assert (drawn[:, 12:] == 0).all()


def square(background: tuple, alpha: float) -> np.ndarray:
    """An image 400 wide and 200 high with a red square from (80, 40) to (160, 120), y up, and a speck."""
    pixels = np.full((200, 400, 4), (*background, alpha), np.float32)
    pixels[40:120, 80:160] = pixels[180, 360] = (1, 0, 0, 1)
    return pixels


@pytest.mark.parametrize("pixels", [square((1, 1, 1), 1), square((0, 0, 0), 0), square((1, 0, 0), 0)])
def test_the_subject_is_found_on_a_plain_or_transparent_background(pixels):
    assert image_placement.find_subject(pixels) == pytest.approx((0.2, 0.2, 0.2, 0.4))


def test_the_subject_of_a_uniform_image_is_the_whole_image():
    assert image_placement.find_subject(np.ones((8, 8, 4), np.float32)) == (0, 0, 1, 1)


def test_the_subject_is_placed_on_the_mesh_and_keeps_its_aspect_ratio():
    left, bottom, width, height = image_placement.place_image(
        (0.2, 0.2, 0.2, 0.4), (300, 100, 50, 50), (100, 50)
    )
    assert width == pytest.approx(2 * height)
    assert (left + 0.2 * width, bottom + 0.2 * height, 0.2 * width, 0.4 * height) == pytest.approx(
        (300, 100, 50, 50)
    )


def test_projected_bounds_are_those_of_the_viewport_or_none_behind_it():
    points = np.array([(0, 0, 0), (2, 1, 0)], float)
    assert image_placement.project_bounds(points, np.diag((0.25, 0.25, 1, 1)), (400, 200)) == pytest.approx(
        (200, 100, 100, 25)
    )
    behind = np.eye(4)
    behind[3] = (-1, 0, 0, 1)
    assert image_placement.project_bounds(points, behind, (400, 200)) is None


@pytest.mark.parametrize(
    ("key", "shift", "expected"),
    [
        ("RIGHT_ARROW", False, (-177, 88)),
        ("LEFT_ARROW", True, (177, 88)),
        ("UP_ARROW", False, (178, 90)),
        ("DOWN_ARROW", True, (178, 87)),
        ("Q", False, (178, 88)),
    ],
)
def test_arrow_keys_turn_the_view_within_its_limits(key, shift, expected):
    nudge = apply_key(NudgeState(178, 88), key, shift)
    assert (nudge.azimuth, nudge.elevation) == pytest.approx(expected)


def test_the_wheel_changes_the_opacity():
    nudge = NudgeState(0, 0)
    assert apply_key(nudge, "WHEELUPMOUSE", False).opacity == 0.6
    for _ in range(9):
        nudge = apply_key(nudge, "WHEELDOWNMOUSE", False)
    assert nudge.opacity == 0.1


def test_moving_and_scaling_the_overlay_keep_the_view():
    nudge = apply_drag(NudgeState(30, 10), "G", (10, 10), (15, 8), (0, 0))
    assert (nudge.shift, nudge.azimuth, nudge.elevation) == ((5, -2), 30, 10)
    nudge = apply_drag(nudge, "S", (10, 0), (20, 0), (0, 0))
    assert (nudge.zoom, nudge.shift, nudge.azimuth, nudge.elevation) == (2, (5, -2), 30, 10)
    assert image_placement.transform_rectangle((0, 0, 10, 20), nudge.shift, nudge.zoom) == (0, -12, 20, 40)


@pytest.mark.parametrize("view", [(0, 0), (35, 20), (-110, -15), (90, 89)])
def test_a_turned_viewport_shows_the_object_from_that_view(view):
    obj = make.cube()
    obj.matrix_world = Matrix.Translation((5, 2, 1)) @ Euler((0.3, 0.2, 0.1)).to_matrix().to_4x4()
    region = viewport().spaces.active.region_3d
    reference_view.look_from(region, obj, *view)
    eye = (
        Matrix.Translation(region.view_location)
        @ region.view_rotation.to_matrix().to_4x4()
        @ Matrix.Translation((0, 0, 5))
    )
    for is_perspective in (True, False):
        assert reference_view.view_direction(obj, eye, is_perspective) == pytest.approx(view, abs=1e-3)
    # Upright.
    assert region.view_rotation.to_matrix().col[1].z > 0


def viewport() -> bpy.types.Area:
    return next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")


def test_automatic_starts_at_the_view_of_the_last_take_and_needs_one():
    obj, panel = make.cube(), bpy.context.scene.orbit_texture
    panel.image = bpy.data.images.new("Reference", 8, 8)
    area = viewport()
    with bpy.context.temp_override(area=area, region=area.regions[-1]):
        assert not NudgeView.poll(bpy.context)
        make.apply(obj, new_uvs=False)
        obj.orbit_texture.takes[0].report = json.dumps({"view": {"azimuth": 31.2, "elevation": 12.0}})
        assert NudgeView.poll(bpy.context)
    assert reference_view.current_view(obj, bpy.context) == (31.2, 12.0)
    assert find_automatic_view(obj, panel) == (31.2, 12.0)
    check = ReferenceCheck(Question.of(obj, panel), "", mesh_io.read_mesh(obj))
    check.report = {"candidates": [{"azimuth": -40.0, "elevation": 3.0, "camera": [0.0] * 7}]}
    checks.kept.append(check)
    assert find_automatic_view(obj, panel) == (-40, 3)
    checks.clear()
    panel.view, panel.azimuth, panel.elevation = "GIVEN", 5, 6
    assert reference_view.current_view(obj, bpy.context) == (5, 6)


def test_a_moved_overlay_is_held_by_pins():
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    matrix = np.array([[1.5, 0, 0, 0], [0, 0, 2.0, 0], [0, 1, 0, 4], [0, 1, 0, 5]])
    overlay = (100.0, 50.0, 300.0, 200.0)
    pins = place_pins(points, matrix, (800, 600), overlay)
    assert 4 <= len(pins) <= 6
    for axis in range(3):
        values = [point[axis] for point, _ in pins]
        assert (min(values), max(values)) == (points[:, axis].min(), points[:, axis].max())
    for point, place in pins:
        shown = matrix @ np.append(point, 1)
        pixel = (shown[:2] / shown[3] + 1) / 2 * (800, 600)
        np.testing.assert_allclose(np.array(overlay[:2]) + place * overlay[2:], pixel)
