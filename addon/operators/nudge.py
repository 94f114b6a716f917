"""Nudge View: the reference half transparent over the mesh, seen from the view that a job would get; keys
turn that view."""

from dataclasses import dataclass, replace

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import InvalidSettings
from ..objects import mesh_io
from ..viewport import image_overlay, image_placement, reference_view

_TURN_STEP, _FINE_TURN_STEP = 5.0, 1.0
"""Degrees that an arrow turns the view by, without and with Shift."""

_ARROW_DIRECTIONS = {"LEFT_ARROW": (-1, 0), "RIGHT_ARROW": (1, 0), "DOWN_ARROW": (0, -1), "UP_ARROW": (0, 1)}

_WHEEL_OPACITY_STEPS = {"WHEELUPMOUSE": 0.1, "WHEELDOWNMOUSE": -0.1}

_MAX_PROJECTED_POINTS, _MAX_SAMPLED_SIZE = 50_000, 512
"""Of the mesh, and pixels of the picture's longer side, that are looked at to lay one over the other."""


@dataclass(frozen=True)
class NudgeState:
    """What the keys have led to.

    Attributes:
        azimuth, elevation: degrees, as :class:`Settings` has them: what is stored in the end.
        shift: (2,) pixels by which the picture is moved off where it fits; ``zoom`` scales it. Only to look
            at.
        opacity: 0.1..1, of the picture.
    """

    azimuth: float
    elevation: float
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    opacity: float = 0.5


def apply_key(nudge: NudgeState, key: str, shift: bool) -> NudgeState:
    """What a key that was pressed, or a turn of the wheel, makes of it; the same if it means nothing."""
    if key in _ARROW_DIRECTIONS:
        right, up = (
            direction * (_FINE_TURN_STEP if shift else _TURN_STEP) for direction in _ARROW_DIRECTIONS[key]
        )
        azimuth, elevation = reference_view.turn_view(nudge.azimuth, nudge.elevation, right, up)
        return replace(nudge, azimuth=azimuth, elevation=elevation)
    if key in _WHEEL_OPACITY_STEPS:
        return replace(nudge, opacity=round(min(1.0, max(0.1, nudge.opacity + _WHEEL_OPACITY_STEPS[key])), 1))
    return nudge


def apply_drag(
    nudge: NudgeState,
    drag_mode: str,
    start: tuple[float, float],
    mouse: tuple[float, float],
    image_center: tuple[float, float],
) -> NudgeState:
    """What the mouse's way since the key was pressed makes of it.

    Args:
        how: "G" moves the picture with the mouse, "S" scales it with the mouse's distance from its middle.
        start, mouse, middle: of the viewport's pixels.
    """
    if drag_mode == "G":
        return replace(
            nudge,
            shift=tuple(
                before + now - then for before, now, then in zip(nudge.shift, mouse, start, strict=True)
            ),
        )
    reach, began = (max(np.hypot(*np.subtract(place, image_center)), 1.0) for place in (mouse, start))
    return replace(nudge, zoom=float(nudge.zoom * reach / began))


class NudgeView(bpy.types.Operator):
    bl_idname = "orbit_texture.nudge_view"
    bl_label = "Nudge View"
    bl_description = (
        "Lay the reference over the object, seen from the side that the reference shows, and turn that side "
        "with the arrow keys until both agree. Enter stores it as the Given view, Esc leaves everything as "
        "it was"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        obj, panel = context.object, context.scene.orbit_texture
        if obj is None or obj.type != "MESH" or obj.mode != "OBJECT":
            cls.poll_message_set("Make a mesh object active, in Object Mode")
            return False
        if panel.image is None or not panel.image.size[0]:
            cls.poll_message_set("Choose a reference image first")
            return False
        if panel.view == "AUTOMATIC" and reference_view.last_found_view(obj) is None:
            cls.poll_message_set(
                "Automatic finds the view while it textures. Choose another view, or texture once"
            )
            return False
        if context.space_data is None or context.space_data.type != "VIEW_3D":
            cls.poll_message_set("Press it in a 3D viewport")
            return False
        return True

    def invoke(self, context, event):
        obj, image = context.object, context.scene.orbit_texture.image
        try:
            self._state = NudgeState(*reference_view.current_view(obj, context))
        except InvalidSettings as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        # Undo may replace the object and the layout may lose the area meanwhile, so neither is kept, only
        # which they were.
        self._object_uid, self._area = obj.session_uid, context.area.as_pointer()
        self._points, self._subject = _world_points(obj), image_placement.find_subject(_sample_pixels(image))
        self._drag_mode, self._drag_start, self._state_before_drag = "", (0.0, 0.0), self._state
        self._image_center = (0.0, 0.0)
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
            panel = context.scene.orbit_texture
            panel.view, panel.azimuth, panel.elevation = "GIVEN", self._state.azimuth, self._state.elevation
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

    def _is_target_valid(self, context) -> bool:
        """The object and its reference are still there."""
        obj = context.object
        return (
            obj is not None
            and obj.session_uid == self._object_uid
            and context.scene.orbit_texture.image is not None
        )

    def _update_view(self, context) -> None:
        nudge = self._state
        reference_view.look_from(
            context.area.spaces.active.region_3d, context.object, nudge.azimuth, nudge.elevation
        )
        context.area.header_text_set(
            " | ".join(
                [
                    rpt_("Azimuth {:.0f}°, elevation {:.0f}°").format(nudge.azimuth, nudge.elevation),
                    rpt_("Arrows: turn, finer with Shift"),
                    rpt_("G, S: move or scale the picture, only to look"),
                    rpt_("Wheel: opacity {:.0%}").format(nudge.opacity),
                    rpt_("Enter: store"),
                    rpt_("Esc: leave as it was"),
                ]
            )
        )
        context.area.tag_redraw()

    def _end(self, context, result: set) -> set:
        """Blender's view stays where it was turned to if the view was stored."""
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
        size, image = (context.region.width, context.region.height), context.scene.orbit_texture.image
        onto = image_placement.project_bounds(
            self._points, np.array(context.region_data.perspective_matrix), size
        )
        if onto:
            left, bottom, width, height = corner = image_placement.transform_rectangle(
                image_placement.place_image(self._subject, onto, tuple(image.size)),
                self._state.shift,
                self._state.zoom,
            )
            self._image_center = left + width / 2, bottom + height / 2
            image_overlay.draw_image(image, corner, self._state.opacity)


def _mouse_in_viewport(context, event) -> tuple[float, float]:
    """In the viewport's pixels; the operator may have been called from the sidebar."""
    region = next(region for region in context.area.regions if region.type == "WINDOW")
    return event.mouse_x - region.x, event.mouse_y - region.y


def _world_points(obj: bpy.types.Object) -> np.ndarray:
    """(n, 3) of the object as it is seen, in the world's space."""
    positions = mesh_io.evaluated_positions(obj)
    positions = positions[:: len(positions) // _MAX_PROJECTED_POINTS + 1]
    matrix = np.array(obj.matrix_world)
    return positions @ matrix[:3, :3].T + matrix[:3, 3]


def _sample_pixels(image: bpy.types.Image) -> np.ndarray:
    """(H, W, 4) float32 of an image, with pixels left out if it is large."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    step = max(1, max(width, height) // _MAX_SAMPLED_SIZE)
    return pixels.reshape(height, width, 4)[::step, ::step]
