"""Which side of an object the reference shows, as a viewport or the camera sees the object, or as its pins
tell."""

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
    """The scene's settings, with azimuth and elevation of the side of ``obj`` that they mean.

    Raises:
        InvalidSettings: there is no viewport, or no camera, to take it from; the object's pins tell no view.
    """
    panel = context.scene.orbit_texture
    if panel.view == "VIEWPORT":
        region = _find_region_3d(context)
        if region is None:
            raise InvalidSettings(
                "There is no 3D viewport to take the view from. Open one, or choose another view."
            )
        azimuth, elevation = view_direction(obj, region.view_matrix.inverted(), region.is_perspective)
    elif panel.view == "CAMERA":
        camera = context.scene.camera
        if camera is None or camera.type != "CAMERA":
            raise InvalidSettings("The scene has no active camera. Add one, or choose another view.")
        azimuth, elevation = view_direction(obj, camera.matrix_world, camera.data.type != "ORTHO")
    elif panel.view == "PINS":
        azimuth, elevation = _view_of_pins(obj, panel.image)
    else:
        return panel.to_settings()
    return replace(panel.to_settings(), azimuth=azimuth, elevation=elevation)


def view_direction(
    obj: bpy.types.Object, camera_to_world: Matrix, is_perspective: bool
) -> tuple[float, float]:
    """Azimuth and elevation in degrees, as :class:`Settings` has them, from which an eye sees the middle of
    an object.

    Args:
        eye: (4, 4) from the eye's space, in which it looks along -Z, to the world's, in which the mesh is
            sent.
        is_perspective: the eye looks from where it is; else all its rays are parallel.
    """
    back = camera_to_world.col[2].xyz
    if is_perspective:
        back = camera_to_world.translation - bounding_box_center(obj)
    back.normalize()
    return degrees(atan2(back.x, -back.y)), degrees(asin(max(-1.0, min(1.0, back.z))))


def current_view(obj: bpy.types.Object, context: bpy.types.Context) -> tuple[float, float] | None:
    """Azimuth and elevation that a job for ``obj`` would get now; of Automatic, those that were found for its
    newest take, or None.

    Raises:
        InvalidSettings: as for :func:`settings_for`.
    """
    settings = settings_with_view(obj, context)
    return last_found_view(obj) if settings.azimuth is None else (settings.azimuth, settings.elevation)


def last_found_view(obj: bpy.types.Object) -> tuple[float, float] | None:
    """Azimuth and elevation that the report of the newest take tells."""
    reports = (json.loads(take.report) for take in reversed(obj.orbit_texture.takes) if take.report)
    return next(
        ((view["azimuth"], view["elevation"]) for report in reports if (view := report.get("view"))), None
    )


def turn_view(azimuth: float, elevation: float, right: float, up: float) -> tuple[float, float]:
    """The view that lies some degrees to the right and up, for who looks at the object: -180 <= azimuth <
    180, upright."""
    return (azimuth + right + 180) % 360 - 180, max(-90.0, min(90.0, elevation + up))


def look_from(
    region: bpy.types.RegionView3D, obj: bpy.types.Object, azimuth: float, elevation: float
) -> None:
    """Has a viewport look at the middle of an object from a side; out of the camera, if it was in one."""
    if region.view_perspective == "CAMERA":
        region.view_perspective = "PERSP"
    region.view_location = bounding_box_center(obj)
    region.view_rotation = Euler((radians(90 - elevation), 0, radians(azimuth))).to_quaternion()


def bounding_box_center(obj: bpy.types.Object) -> Vector:
    """Of the object's bounding box, in the world's space."""
    return obj.matrix_world @ (sum((Vector(corner) for corner in obj.bound_box), Vector()) / 8)


def _view_of_pins(obj: bpy.types.Object, image: bpy.types.Image | None) -> tuple[float, float]:
    points = [obj.matrix_world @ Vector(pin.point) for pin in obj.orbit_texture.pins]
    width, height = image.size if image and all(image.size) else (1, 1)
    image_points = [(pin.place[0] * width / height, pin.place[1]) for pin in obj.orbit_texture.pins]
    return view_from_pins(
        np.array(points, float).reshape(-1, 3), np.array(image_points, float).reshape(-1, 2)
    )


def _find_region_3d(context: bpy.types.Context) -> bpy.types.RegionView3D | None:
    """Of the viewport in which the button was pressed, else of the window's first."""
    space = context.space_data
    if space is None or space.type != "VIEW_3D":
        areas = context.window.screen.areas if context.window else ()
        space = next((area.spaces.active for area in areas if area.type == "VIEW_3D"), None)
    return space.region_3d if space else None
