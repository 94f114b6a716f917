"""The view of an object that the reference shows, taken from a camera or a viewport."""

import math

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.viewport import reference_view
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidSettings
from mathutils import Matrix, Vector

from tests.blender import make

pytestmark = pytest.mark.every_blender


def camera_at(*location: float, target=(0, 0, 0), kind: str = "PERSP") -> bpy.types.Object:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.type = kind
    bpy.context.collection.objects.link(camera)
    camera.location = location
    camera.rotation_mode = "QUATERNION"
    camera.rotation_quaternion = (Vector(target) - Vector(location)).to_track_quat("-Z", "Y")
    bpy.context.scene.camera = camera
    bpy.context.view_layer.update()
    return camera


def settings(obj: bpy.types.Object, kind: str):
    bpy.context.scene.orbit_texture.view = kind
    return reference_view.settings_with_view(obj, bpy.context)


@pytest.mark.parametrize(
    ("location", "azimuth", "elevation"),
    [
        ((0, -5, 0), 0, 0),
        ((5, 0, 0), 90, 0),
        ((0, 5, 0), 180, 0),
        ((-5, 0, 0), -90, 0),
        ((3, -3, 0), 45, 0),
        ((0, -5, 5), 0, 45),
        ((0, -0.001, -5), 0, -90),
    ],
)
def test_the_view_of_the_active_camera_is_its_position_around_the_object(location, azimuth, elevation):
    obj = make.cube()
    camera_at(*location)
    found = settings(obj, "CAMERA")
    assert (found.azimuth, found.elevation) == pytest.approx((azimuth, elevation), abs=0.1)


def test_perspective_cameras_use_their_position_orthographic_ones_their_axis():
    obj = make.cube()
    obj.location = (10, 0, 0)
    camera_at(0, -10, 0, target=(0, 0, 0))
    assert settings(obj, "CAMERA").azimuth == pytest.approx(-45)
    camera_at(0, -10, 0, target=(0, 0, 0), kind="ORTHO")
    assert settings(obj, "CAMERA").azimuth == pytest.approx(0)


def test_the_view_is_relative_to_the_center_of_the_mesh_not_its_origin():
    obj = make.cube()
    obj.data.transform(Matrix.Translation((10, 0, 0)))
    camera_at(0, -10, 0)
    assert settings(obj, "CAMERA").azimuth == pytest.approx(-45)


def test_the_view_of_the_viewport():
    region = next(
        area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D"
    ).spaces.active.region_3d
    obj = make.cube()
    obj.location = region.view_location
    bpy.context.view_layer.update()
    # Blender's first view looks at what is in its middle; a viewport without a window does not turn.
    turn = region.view_rotation.to_euler()
    found = settings(obj, "VIEWPORT")
    assert (found.azimuth, found.elevation) == pytest.approx(
        (math.degrees(turn.z), 90 - math.degrees(turn.x)), abs=1e-3
    )


def test_a_scene_without_a_camera_is_reported():
    obj = make.cube()
    with pytest.raises(InvalidSettings, match="no active camera"):
        settings(obj, "CAMERA")


def test_automatic_leaves_the_view_to_the_worker():
    found = settings(make.cube(), "AUTOMATIC")
    assert (found.azimuth, found.elevation) == (None, None)
