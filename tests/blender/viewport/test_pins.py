"""Pins: the view fitted to points clicked on the mesh and in the image, and the clicks that make them."""

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.operators import pins as pin_operators
from bl_ext.user_default.orbit_texture.addon.viewport import reference_view
from bl_ext.user_default.orbit_texture.addon.viewport.pins import view_from_pins
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidSettings
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from tests.blender import make

pytestmark = pytest.mark.every_blender

CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float) * (1, 0.7, 1.3)


def project_with_camera(
    points: np.ndarray, azimuth: float, elevation: float, distance: float = 1e4
) -> np.ndarray:
    """(n, 2) where one of Blender's cameras sees points in its image; the image is twice the mesh's size at
    any distance."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.sensor_width, camera.data.lens = 4.0, distance
    bpy.context.collection.objects.link(camera)
    a, e = np.radians((azimuth, elevation))
    camera.location = Vector((np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e))) * distance
    camera.rotation_mode = "QUATERNION"
    camera.rotation_quaternion = (-camera.location).to_track_quat("-Z", "Y")
    bpy.context.view_layer.update()
    render = bpy.context.scene.render
    render.resolution_x = render.resolution_y = 512
    return np.array([world_to_camera_view(bpy.context.scene, camera, Vector(point))[:2] for point in points])


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 10), (35, 20), (-110, -15), (170, 60), (90, 0)])
@pytest.mark.parametrize("chosen", [[0, 3, 5, 6], range(8)])
def test_exact_clicks_give_the_view(azimuth, elevation, chosen):
    points = CORNERS[list(chosen)]
    assert view_from_pins(points, project_with_camera(points, azimuth, elevation)) == pytest.approx(
        (azimuth, elevation), abs=0.3
    )


def test_shaky_clicks_in_perspective_give_nearly_the_view():
    places = project_with_camera(CORNERS, 35, 20, distance=8.0)
    places += np.random.default_rng(1).normal(0, 0.005, places.shape)
    assert view_from_pins(CORNERS, places) == pytest.approx((35, 20), abs=5)


@pytest.mark.parametrize(
    ("points", "places", "message"),
    [
        (CORNERS[:2], CORNERS[:2, :2], "needs 3 to 8 pins"),
        (CORNERS[[0, 0, 0]], np.zeros((3, 2)), "in one place"),
        (CORNERS, np.random.default_rng(0).normal(size=(8, 2)), "No view fits"),
        (CORNERS[[0, 1, 4, 5]], CORNERS[[0, 1, 4, 5]][:, [0, 2]] * (0.8, 1), "more than one view"),
    ],
)
def test_pins_without_a_single_view_are_refused_with_what_to_do(points, places, message):
    with pytest.raises(InvalidSettings, match=message):
        view_from_pins(points, places)


def add_pins(obj: bpy.types.Object, points: np.ndarray, places: np.ndarray) -> None:
    for point, place in zip(points, places, strict=True):
        pin = obj.orbit_texture.pins.add()
        pin.point, pin.place = point, place


def test_a_job_gets_the_view_of_the_pins_wherever_the_object_is():
    obj = make.cube()
    settings = bpy.context.scene.orbit_texture
    settings.image = bpy.data.images.new("Wide", 200, 100)
    settings.view = "PINS"
    obj.matrix_world = Matrix.Translation((5, 0, 0)) @ Matrix.Rotation(np.radians(90), 4, "Z")
    world = [obj.matrix_world @ Vector(point) for point in CORNERS]
    places = project_with_camera(np.array(world) - (5, 0, 0), 35, 20)
    add_pins(obj, CORNERS, (places - 0.5) * (0.5, 1) + 0.5)  # the same image, padded to twice its width
    found = reference_view.settings_with_view(obj, bpy.context)
    assert (found.azimuth, found.elevation) == pytest.approx((35, 20), abs=0.3)
    bpy.ops.orbit_texture.clear_pins()
    with pytest.raises(InvalidSettings, match="there are 0"):
        reference_view.settings_with_view(obj, bpy.context)


def test_a_click_hits_the_evaluated_mesh_in_object_space():
    obj = make.cube()
    obj.location = (5, 0, 0)
    obj.scale = (2, 2, 2)
    bpy.context.view_layer.update()
    hit_point = pin_operators.ray_cast(obj, bpy.context, Vector((5.5, -10, 0)), Vector((0, 1, 0)))
    assert tuple(hit_point) == pytest.approx((0.25, -1, 0))
    assert pin_operators.ray_cast(obj, bpy.context, Vector((0, -10, 0)), Vector((0, 1, 0))) is None


def test_a_click_on_the_mesh_and_one_in_the_image_make_a_pin():
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    view = area.spaces.active.region_3d
    obj = make.cube()
    bpy.context.scene.orbit_texture.image = bpy.data.images.new("Square", 100, 100)
    view.view_matrix = Matrix.Translation((0, 0, -15))
    middle, beside = (region.width // 2, region.height // 2), (region.width - 2, region.height - 2)

    def handle_click(pending_point, x, y):
        return pin_operators.handle_click(bpy.context, region, view, pending_point, x, y)

    assert handle_click(None, *beside) is None
    point = handle_click(None, *middle)
    assert max(map(abs, point)) == pytest.approx(1, abs=1e-4)
    assert handle_click(point, *beside) == point
    left, bottom, width, height = pin_operators.image_rectangle(
        region.width, region.height, bpy.context.scene.orbit_texture.image
    )
    assert handle_click(None, left + width // 2, bottom) is None
    assert not obj.orbit_texture.pins
    assert handle_click(point, left + 0.75 * width, bottom + 0.25 * height) is None
    (pin,) = obj.orbit_texture.pins
    assert tuple(pin.point) == pytest.approx(tuple(point))
    assert tuple(pin.place) == pytest.approx((0.75, 0.25))


def test_the_image_in_the_corner_keeps_its_aspect_ratio_and_maps_clicks():
    image = bpy.data.images.new("Wide", 200, 100)
    left, bottom, width, height = rectangle = pin_operators.image_rectangle(1000, 800, image)
    assert width == pytest.approx(2 * height)
    assert pin_operators.to_image_point(rectangle, left + width / 4, bottom + height / 2) == pytest.approx(
        (0.25, 0.5)
    )
    assert pin_operators.to_image_point(rectangle, left + width + 1, bottom) is None
