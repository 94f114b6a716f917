"""Compare Takes: the shown take and another one, split by a line that the mouse drags across the viewport."""

import blf
import bpy
import gpu
from bpy.app.translations import pgettext_rpt as rpt_

from ..objects import takes
from ..viewport import compare_overlay
from ..viewport.shaders import draw_shape

_NAVIGATION_EVENTS = {
    "MIDDLEMOUSE",
    "WHEELUPMOUSE",
    "WHEELDOWNMOUSE",
    "TRACKPADPAN",
    "TRACKPADZOOM",
    "MOUSEROTATE",
    "MOUSESMARTZOOM",
    "NDOF_MOTION",
    "MOUSEMOVE",
    "INBETWEEN_MOUSEMOVE",
    "TIMER",
    "WINDOW_DEACTIVATE",
}
"""Passed through to Blender, so that the view can be turned during the comparison."""


def next_comparable(obj: bpy.types.Object, left: int, right: int) -> int:
    """Index of the next take after ``right`` that can be compared with ``left``, going round at the end."""
    others = [index for index in compare_overlay.comparable_takes(obj) if index != left]
    return next((index for index in others if index > right), others[0])


class CompareTakes(bpy.types.Operator):
    bl_idname = "orbit_texture.compare_takes"
    bl_label = "Compare Takes"
    bl_description = (
        "Draw the shown take left and another one right of a line in the viewport, until Esc is pressed. "
        "Both are drawn without lighting. The object only changes if you choose the right one with Enter"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        obj = context.object
        if obj is None or obj.type != "MESH" or context.mode != "OBJECT":
            cls.poll_message_set("Make a mesh object active, in Object Mode")
            return False
        if len(obj.orbit_texture.takes) < 2:
            cls.poll_message_set("The active object has fewer than two takes. Texture it again first")
            return False
        can_be_drawn = compare_overlay.comparable_takes(obj)
        if takes.find_shown_index(obj) not in can_be_drawn or len(can_be_drawn) < 2:
            cls.poll_message_set(
                "Show a take first. Takes on UDIM tiles, or whose image or UV map is missing, cannot be "
                "compared"
            )
            return False
        if context.space_data is None or context.space_data.type != "VIEW_3D":
            cls.poll_message_set("Use this in a 3D viewport")
            return False
        return True

    def invoke(self, context, event):
        # Undo may replace the object and the layout may lose the area meanwhile, so only their identities are
        # stored.
        self._object_uid, self._area = context.object.session_uid, context.area.as_pointer()
        self._left = takes.find_shown_index(context.object)
        earlier = [index for index in compare_overlay.comparable_takes(context.object) if index < self._left]
        self._right = earlier[-1] if earlier else next_comparable(context.object, self._left, self._left)
        self._divider, self._dragging = 0.5, False
        self._handles = [
            bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", when)
            for draw, when in ((self._draw_takes, "POST_VIEW"), (self._draw_divider, "POST_PIXEL"))
        ]
        context.window_manager.modal_handler_add(self)
        self._update_header(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if context.area is None or not self._is_target_valid(context) or event.type in {"ESC", "RIGHTMOUSE"}:
            return self._end(context, {"CANCELLED"})
        if event.type in {"RET", "NUMPAD_ENTER"} and event.value == "PRESS":
            takes.show_take(context.object, self._right)
            return self._end(context, {"FINISHED"})
        if event.type == "TAB" and event.value == "PRESS":
            self._right = next_comparable(context.object, self._left, self._right)
            self._update_header(context)
        elif event.type == "LEFTMOUSE":
            self._dragging = event.value == "PRESS"
        if self._dragging:
            self._move(context, event.mouse_x)
        is_for_blender = event.type in _NAVIGATION_EVENTS or event.type.startswith("NUMPAD_")
        return {"PASS_THROUGH"} if is_for_blender and not self._dragging else {"RUNNING_MODAL"}

    def cancel(self, context):
        self._end(context, {"CANCELLED"})

    def _is_target_valid(self, context) -> bool:
        """Whether the object is still active and has both takes."""
        obj = context.object
        return (
            obj is not None
            and obj.session_uid == self._object_uid
            and context.mode == "OBJECT"
            and {self._left, self._right} <= set(compare_overlay.comparable_takes(obj))
        )

    def _move(self, context, x: int) -> None:
        # The operator may have been called from the sidebar; the line is in the viewport beside it.
        region = next(region for region in context.area.regions if region.type == "WINDOW")
        self._divider = min(1.0, max(0.0, (x - region.x) / region.width))
        context.area.tag_redraw()

    def _update_header(self, context) -> None:
        names = [take.name for take in context.object.orbit_texture.takes]
        context.area.header_text_set(
            " | ".join(
                [
                    rpt_("Left {}, right {}").format(names[self._left], names[self._right]),
                    rpt_("Drag: move the line"),
                    rpt_("Tab: next take on the right"),
                    rpt_("Enter: show the right take"),
                    rpt_("Esc: close"),
                ]
            )
        )
        context.area.tag_redraw()

    def _end(self, context, result: set) -> set:
        for handle in self._handles:
            bpy.types.SpaceView3D.draw_handler_remove(handle, "WINDOW")
        if context.area:
            context.area.header_text_set(None)
            context.area.tag_redraw()
        return result

    def _draw_takes(self) -> None:
        context = bpy.context
        if context.area.as_pointer() == self._area and self._is_target_valid(context):
            region = context.region
            compare_overlay.draw_takes(
                context.object,
                self._left,
                self._right,
                round(self._divider * region.width),
                (region.width, region.height),
                context.region_data.perspective_matrix,
            )

    def _draw_divider(self) -> None:
        context = bpy.context
        if context.area.as_pointer() == self._area and self._is_target_valid(context):
            names = [context.object.orbit_texture.takes[index].name for index in (self._left, self._right)]
            draw_divider(round(self._divider * context.region.width), context.region.height, *names)


def draw_divider(x: int, height: int, left: str, right: str) -> None:
    """Draws the dividing line and the take's name on each side of it, in the viewport's pixels."""
    gpu.state.line_width_set(2)
    draw_shape("LINES", [(x, 0), (x, height)], (1.0, 1.0, 1.0, 1.0))
    gpu.state.line_width_set(1)
    blf.size(0, 16)
    blf.color(0, 1.0, 1.0, 1.0, 1.0)
    for name, place in ((left, x - 12 - blf.dimensions(0, left)[0]), (right, x + 12)):
        blf.position(0, place, 30, 0)
        blf.draw(0, name)
