"""The view of an object that the reference shows, taken from a viewport, the active camera, the panel or the
object's pins.

A view is an azimuth and an elevation in degrees, as :class:`Settings` has them.
"""

import json
from dataclasses import replace
from math import asin, atan2, degrees, radians

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

from ...backend.api.errors import InvalidSettings
from ...backend.api.settings import Settings
from .pins import view_from_pins


def settings_with_view(obj: bpy.types.Object, context: bpy.types.Context) -> Settings:
    """The panel's settings, with the azimuth and elevation that its Side Shown means for ``obj``.

    Raises:
        InvalidSettings: there is no viewport or camera to take the view from, or no single view fits the
            object's pins.
    """
    panel = context.scene.orbit_texture
    if panel.view == "VIEWPORT":
        region = _find_region_3d(context)
        if region is None:
            raise InvalidSettings(
                "There is no 3D viewport to take the side from. Open one, or change Side Shown."
            )
        azimuth, elevation = view_direction(obj, region.view_matrix.inverted(), region.is_perspective)
    elif panel.view == "CAMERA":
        camera = context.scene.camera
        if camera is None or camera.type != "CAMERA":
            raise InvalidSettings("The scene has no active camera. Add one, or change Side Shown.")
        azimuth, elevation = view_direction(obj, camera.matrix_world, camera.data.type != "ORTHO")
    elif panel.view == "PINS":
        azimuth, elevation = _view_of_pins(obj, panel.find_image(obj))
    else:
        return panel.to_settings()
    return replace(panel.to_settings(), azimuth=round(azimuth, 4), elevation=round(elevation, 4))


def view_direction(
    obj: bpy.types.Object, camera_to_world: Matrix, is_perspective: bool
) -> tuple[float, float]:
    """The view from which a camera sees the centre of an object.

    Args:
        camera_to_world: (4, 4); the camera looks along its -Z. The mesh is sent in world space.
        is_perspective: whether the rays start at the camera's position; else they are parallel.
    """
    back = camera_to_world.col[2].xyz
    if is_perspective:
        back = camera_to_world.translation - bounding_box_center(obj)
    back.normalize()
    return degrees(atan2(back.x, -back.y)), degrees(asin(max(-1.0, min(1.0, back.z))))


def current_view(obj: bpy.types.Object, context: bpy.types.Context) -> tuple[float, float] | None:
    """The view that a job for ``obj`` would get now. With Automatic, the one found for the newest take, or
    None if there is none.

    Raises:
        InvalidSettings: as for :func:`settings_with_view`.
    """
    settings = settings_with_view(obj, context)
    return last_found_view(obj) if settings.azimuth is None else (settings.azimuth, settings.elevation)


def last_found_view(obj: bpy.types.Object) -> tuple[float, float] | None:
    """The view in the report of the newest take that has one."""
    reports = (json.loads(take.report) for take in reversed(obj.orbit_texture.takes) if take.report)
    return next(
        ((view["azimuth"], view["elevation"]) for report in reports if (view := report.get("view"))), None
    )


def turn_view(azimuth: float, elevation: float, right: float, up: float) -> tuple[float, float]:
    """A view turned by degrees to the viewer's right and up. The azimuth stays within -180 (inclusive) and
    180, the elevation within -90 and 90."""
    return (azimuth + right + 180) % 360 - 180, max(-90.0, min(90.0, elevation + up))


def look_from(
    region: bpy.types.RegionView3D, obj: bpy.types.Object, azimuth: float, elevation: float
) -> None:
    """Turns a viewport so that it sees the centre of an object from a view, and leaves the camera view."""
    if region.view_perspective == "CAMERA":
        region.view_perspective = "PERSP"
    region.view_location = bounding_box_center(obj)
    region.view_rotation = Euler((radians(90 - elevation), 0, radians(azimuth))).to_quaternion()


def bounding_box_center(obj: bpy.types.Object) -> Vector:
    """The centre of the object's bounding box, in world space."""
    return obj.matrix_world @ (sum((Vector(corner) for corner in obj.bound_box), Vector()) / 8)


def _view_of_pins(obj: bpy.types.Object, image: bpy.types.Image | None) -> tuple[float, float]:
    turned = obj.matrix_world.to_3x3()  # where the object is does not matter
    points = [turned @ Vector(pin.point) for pin in obj.orbit_texture.pins]
    width, height = image.size if image and all(image.size) else (1, 1)
    image_points = [(pin.place[0] * width / height, pin.place[1]) for pin in obj.orbit_texture.pins]
    return view_from_pins(
        np.array(points, float).reshape(-1, 3), np.array(image_points, float).reshape(-1, 2)
    )


def _find_region_3d(context: bpy.types.Context) -> bpy.types.RegionView3D | None:
    """The 3D region of the viewport in which the button was pressed, else of the window's first viewport."""
    space = context.space_data
    if space is None or space.type != "VIEW_3D":
        areas = context.window.screen.areas if context.window else ()
        space = next((area.spaces.active for area in areas if area.type == "VIEW_3D"), None)
    return space.region_3d if space else None
