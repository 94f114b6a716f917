"""Nudge View: overlays the reference, half transparent, on the mesh, seen from the view that a job would get;
keys turn that view."""

from dataclasses import dataclass, replace

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Vector

from ...backend.api.errors import InvalidSettings
from ..objects import mesh_io
from ..reference_check.checks import checks
from ..viewport import image_overlay, image_placement, reference_view

_TURN_STEP = 5.0
"""Degrees that an arrow key turns the view by."""

_FINE_TURN_STEP = 1.0
"""Degrees that an arrow key turns the view by while Shift is held."""

_ARROW_DIRECTIONS = {"LEFT_ARROW": (-1, 0), "RIGHT_ARROW": (1, 0), "DOWN_ARROW": (0, -1), "UP_ARROW": (0, 1)}
"""What an arrow key adds to azimuth and elevation, in steps."""

_WHEEL_OPACITY_STEPS = {"WHEELUPMOUSE": 0.1, "WHEELDOWNMOUSE": -0.1}
"""What a turn of the wheel adds to the overlay's opacity."""

_MAX_PROJECTED_POINTS = 50_000
"""A larger mesh is thinned out to about as many vertices before its bounds are computed."""

_MAX_SAMPLED_SIZE = 512
"""A larger image is thinned out to about as many pixels along its longer side before its subject is found."""


@dataclass(frozen=True)
class NudgeState:
    """The view and the overlay as the keys have changed them so far.

    Attributes:
        azimuth, elevation: degrees, as :class:`Settings` has them; stored at the end.
        shift: (2,) pixels by which the overlay is moved away from where it fits.
        zoom: scale of the overlay relative to where it fits.
        opacity: 0.1..1, of the overlay. Not stored.
    """

    azimuth: float
    elevation: float
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    opacity: float = 0.5


def apply_key(state: NudgeState, key: str, shift: bool) -> NudgeState:
    """The state after a key press or a turn of the wheel; unchanged if the key has no meaning."""
    if key in _ARROW_DIRECTIONS:
        right, up = (
            direction * (_FINE_TURN_STEP if shift else _TURN_STEP) for direction in _ARROW_DIRECTIONS[key]
        )
        azimuth, elevation = reference_view.turn_view(state.azimuth, state.elevation, right, up)
        return replace(state, azimuth=azimuth, elevation=elevation)
    if key in _WHEEL_OPACITY_STEPS:
        return replace(state, opacity=round(min(1.0, max(0.1, state.opacity + _WHEEL_OPACITY_STEPS[key])), 1))
    return state


def apply_drag(
    state: NudgeState,
    drag_mode: str,
    start: tuple[float, float],
    mouse: tuple[float, float],
    image_center: tuple[float, float],
) -> NudgeState:
    """The state after the mouse has been dragged.

    Args:
        drag_mode: "G" moves the overlay with the mouse, "S" scales it with the mouse's distance from its
            centre.
        start, mouse, image_center: in the viewport's pixels; ``start`` is where the mouse was at first.
    """
    if drag_mode == "G":
        return replace(
            state,
            shift=tuple(
                before + now - then for before, now, then in zip(state.shift, mouse, start, strict=True)
            ),
        )
    distance, start_distance = (
        max(np.hypot(*np.subtract(place, image_center)), 1.0) for place in (mouse, start)
    )
    return replace(state, zoom=float(state.zoom * distance / start_distance))


def find_automatic_view(obj: bpy.types.Object, panel) -> tuple[float, float] | None:
    """The view that the last check of the reference has found, else the one of the newest take; None if there
    is neither."""
    if check := checks.find_with_camera(obj, panel):
        best = check.report["candidates"][0]
        return best["azimuth"], best["elevation"]
    return reference_view.last_found_view(obj)


def place_pins(
    points: np.ndarray, matrix: np.ndarray, size: tuple[int, int], overlay: image_placement.Rectangle
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pins that hold an image where an overlay shows it: the outermost points of the mesh along each axis,
    and where they are in the image, as fractions from its lower left corner.

    Args:
        points: (N, 3) of the mesh, in world space.
        matrix: (4, 4) from world space to clip space.
        size: width and height of the viewport in pixels.
        overlay: where the image is, in the viewport's pixels.
    """
    outermost = np.unique([pick(points[:, axis]) for axis in range(3) for pick in (np.argmin, np.argmax)])
    chosen = points[outermost]
    clip = chosen @ matrix[:3, :3].T + matrix[:3, 3]
    depth = chosen @ matrix[3, :3] + matrix[3, 3]
    pixels = (clip[:, :2] / depth[:, None] + 1) / 2 * size
    return list(zip(chosen, (pixels - overlay[:2]) / overlay[2:], strict=True))


class NudgeView(bpy.types.Operator):
    bl_idname = "orbit_texture.nudge_view"
    bl_label = "Nudge View"
    bl_description = (
        "Overlay the reference on the object, seen from the view that the reference shows, and turn the view "
        "with the arrow keys until they match; G and S move and scale the reference. Enter stores the side, "
        "and as pins what was moved or scaled, Esc restores everything"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        obj, panel = context.object, context.scene.orbit_texture
        if obj is None or obj.type != "MESH" or obj.mode != "OBJECT":
            cls.poll_message_set("Make a mesh object active, in Object Mode")
            return False
        image = panel.find_image(obj)
        if image is None or not image.size[0]:
            cls.poll_message_set("Choose a reference image first")
            return False
        if panel.view == "AUTOMATIC" and find_automatic_view(obj, panel) is None:
            cls.poll_message_set("No view is known yet. Press Check Reference, or change Side Shown")
            return False
        if context.space_data is None or context.space_data.type != "VIEW_3D":
            cls.poll_message_set("Use this in a 3D viewport")
            return False
        return True

    def invoke(self, context, event):
        obj, panel = context.object, context.scene.orbit_texture
        image = panel.find_image(obj)
        try:
            view = (
                find_automatic_view(obj, panel)
                if panel.view == "AUTOMATIC"
                else reference_view.current_view(obj, context)
            )
            self._state = NudgeState(*view)
        except InvalidSettings as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        # Undo may replace the object and the layout may lose the area meanwhile, so only their identities are
        # stored.
        self._object_uid, self._area = obj.session_uid, context.area.as_pointer()
        self._points, self._subject = _world_points(obj), image_placement.find_subject(_sample_pixels(image))
        self._drag_mode, self._drag_start, self._state_before_drag = "", (0.0, 0.0), self._state
        self._image_center, self._overlay = (0.0, 0.0), (0.0, 0.0, 1.0, 1.0)
        region = context.space_data.region_3d
        self._view_before = {name: getattr(region, name) for name in ("view_perspective", "view_distance")}
        self._view_before |= {
            name: getattr(region, name).copy() for name in ("view_location", "view_rotation")
        }
        region.view_distance = 4 * np.ptp(self._points, axis=0).max() / 2 * context.space_data.lens / 50
        self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        context.window_manager.modal_handler_add(self)
        self._update_view(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if context.area is None or not self._is_target_valid(context):
            return self._end(context, {"CANCELLED"})
        if self._drag_mode:
            self._drag(context, event)
        elif event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            return self._end(context, {"CANCELLED"})
        elif event.type in {"RET", "NUMPAD_ENTER"} and event.value == "PRESS":
            self._store(context)
            return self._end(context, {"FINISHED"})
        elif event.type in {"G", "S"} and event.value == "PRESS":
            self._drag_mode, self._drag_start, self._state_before_drag = (
                event.type,
                _mouse_in_viewport(context, event),
                self._state,
            )
        elif event.value == "PRESS":
            self._state = apply_key(self._state, event.type, event.shift)
            self._update_view(context)
        return {"PASS_THROUGH"} if event.type in {"MOUSEMOVE", "TIMER"} else {"RUNNING_MODAL"}

    def cancel(self, context):
        self._end(context, {"CANCELLED"})

    def _drag(self, context, event) -> None:
        if event.type == "MOUSEMOVE":
            self._state = apply_drag(
                self._state_before_drag,
                self._drag_mode,
                self._drag_start,
                _mouse_in_viewport(context, event),
                self._image_center,
            )
        elif event.value == "PRESS" and event.type in {"ESC", "RIGHTMOUSE"}:
            self._state, self._drag_mode = self._state_before_drag, ""
        elif event.value == "PRESS" and event.type in {"LEFTMOUSE", "RET", "NUMPAD_ENTER"}:
            self._drag_mode = ""
        context.area.tag_redraw()

    def _store(self, context) -> None:
        """Stores the view, and as pins where the overlay was moved to and how it was scaled."""
        panel, obj, state = context.scene.orbit_texture, context.object, self._state
        panel.azimuth, panel.elevation = state.azimuth, state.elevation
        if state.shift == (0.0, 0.0) and state.zoom == 1.0:
            panel.view = "GIVEN"
            return
        obj.orbit_texture.pins.clear()
        region = next(region for region in context.area.regions if region.type == "WINDOW")
        matrix = np.array(context.area.spaces.active.region_3d.perspective_matrix)
        for point, place in place_pins(self._points, matrix, (region.width, region.height), self._overlay):
            pin = obj.orbit_texture.pins.add()
            pin.point, pin.place = obj.matrix_world.inverted_safe() @ Vector(point), place
        panel.view = "PINS"

    def _is_target_valid(self, context) -> bool:
        """Whether the object is still active and there still is a reference."""
        obj = context.object
        return (
            obj is not None
            and obj.session_uid == self._object_uid
            and context.scene.orbit_texture.find_image(obj) is not None
        )

    def _update_view(self, context) -> None:
        state = self._state
        reference_view.look_from(
            context.area.spaces.active.region_3d, context.object, state.azimuth, state.elevation
        )
        context.area.header_text_set(
            " | ".join(
                [
                    rpt_("Azimuth {:.0f}°, elevation {:.0f}°").format(state.azimuth, state.elevation),
                    rpt_("Arrows: turn, Shift for small steps"),
                    rpt_("G, S: move or scale the overlay"),
                    rpt_("Wheel: opacity {:.0%}").format(state.opacity),
                    rpt_("Enter: store"),
                    rpt_("Esc: cancel"),
                ]
            )
        )
        context.area.tag_redraw()

    def _end(self, context, result: set) -> set:
        """Removes the overlay and, if cancelled, restores the viewport's view."""
        bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
        if context.area:
            context.area.header_text_set(None)
            context.area.tag_redraw()
            if "CANCELLED" in result:
                for name, value in self._view_before.items():
                    setattr(context.area.spaces.active.region_3d, name, value)
        return result

    def _draw(self) -> None:
        context = bpy.context
        if context.area.as_pointer() != self._area or not self._is_target_valid(context):
            return
        size = context.region.width, context.region.height
        image = context.scene.orbit_texture.find_image(context.object)
        onto = image_placement.project_bounds(
            self._points, np.array(context.region_data.perspective_matrix), size
        )
        if onto:
            left, bottom, width, height = self._overlay = image_placement.transform_rectangle(
                image_placement.place_image(self._subject, onto, tuple(image.size)),
                self._state.shift,
                self._state.zoom,
            )
            self._image_center = left + width / 2, bottom + height / 2
            image_overlay.draw_image(image, self._overlay, self._state.opacity)


def _mouse_in_viewport(context, event) -> tuple[float, float]:
    """The mouse in the viewport's pixels, also if the operator was called from the sidebar."""
    region = next(region for region in context.area.regions if region.type == "WINDOW")
    return event.mouse_x - region.x, event.mouse_y - region.y


def _world_points(obj: bpy.types.Object) -> np.ndarray:
    """(n, 3) vertices of the evaluated mesh in world space, thinned out if there are many."""
    positions = mesh_io.read_positions(obj)
    positions = positions[:: len(positions) // _MAX_PROJECTED_POINTS + 1]
    matrix = np.array(obj.matrix_world)
    return positions @ matrix[:3, :3].T + matrix[:3, 3]


def _sample_pixels(image: bpy.types.Image) -> np.ndarray:
    """(H, W, 4) float32 pixels of an image, row 0 at the bottom, thinned out if it is large."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    step = max(1, max(width, height) // _MAX_SAMPLED_SIZE)
    return pixels.reshape(height, width, 4)[::step, ::step]
