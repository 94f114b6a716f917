"""Correct Mask: shows the reference in an Image Editor with tools for its mask. Mask Box and Mask Stroke are
one drag of the mouse with such a tool; Clear Mask removes what was drawn."""

import json

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty

from ..objects import mask_correction
from ..objects.strokes import Stroke
from ..reference_check import automatic, mask_overlay
from ..reference_check.check import SIDEWAYS, ReferenceCheck
from ..reference_check.checks import checks
from ..viewport import redraw

_MIN_AREA_WIDTH = 500
"""Pixels that a viewport must be wide to be split for an Image Editor."""

_MIN_STEP = 0.002
"""Distance between two stored points of a stroke at least, as a fraction of the image."""


class _DrawingOperator:
    """One drag of the mouse over the reference in an Image Editor. Its points are a property, so that scripts
    can draw too."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    points: StringProperty(
        name="Points",
        description="JSON of the places in the image, 0 to 1 from its lower left corner",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll(cls, context):
        obj = context.object
        image = context.scene.orbit_texture.find_image(obj)
        if obj is None or obj.type != "MESH":
            cls.poll_message_set("Make the mesh object active that the image is the reference of")
        elif not obj.is_editable:
            cls.poll_message_set("The object is linked from another file. Make it local first")
        elif image is None:
            cls.poll_message_set("Choose a reference image first")
        else:
            return True
        return False

    def invoke(self, context, event):
        image = context.scene.orbit_texture.find_image(context.object)
        if context.space_data is None or context.space_data.type != "IMAGE_EDITOR":
            self.report({"ERROR"}, "Draw in an Image Editor. Press Correct Mask in the panel.")
            return {"CANCELLED"}
        if context.space_data.image != image:
            self.report({"ERROR"}, "This image is not the reference. Press Correct Mask in the panel.")
            return {"CANCELLED"}
        self._area, self._drawn = context.area.as_pointer(), [_image_place(context, event)]
        context.window_manager.modal_handler_add(self)
        self._show(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if context.area is None or context.area.as_pointer() != self._area or event.type == "ESC":
            return self._end(context, {"CANCELLED"})
        if event.type in {"MOUSEMOVE", "INBETWEEN_MOUSEMOVE"}:
            self._drawn = self.extend(self._drawn, _image_place(context, event))
            self._show(context)
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self.points = json.dumps(self._drawn)
            return self._end(context, self.execute(context))
        return {"RUNNING_MODAL"}

    def cancel(self, context):
        self._end(context, {"CANCELLED"})

    def execute(self, context):
        obj, panel = context.object, context.scene.orbit_texture
        stroke = self.make_stroke(context, tuple(map(tuple, json.loads(self.points))))
        if stroke is None:
            return {"CANCELLED"}
        check, image = checks.find(obj, panel), panel.find_image(obj)
        if problem := _find_problem(image, check):
            self.report({"ERROR"}, problem)
            return {"CANCELLED"}
        mask_correction.add_stroke(obj, image, stroke, check.mask_file if check else None)
        automatic.request_now()
        return {"FINISHED"}

    def _show(self, context) -> None:
        mask_overlay.show_live_stroke(self.make_stroke(context, tuple(self._drawn)))
        context.area.tag_redraw()

    def _end(self, context, result: set) -> set:
        mask_overlay.show_live_stroke(None)
        redraw.tag_viewports()
        return result


class MaskBox(_DrawingOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.mask_box"
    bl_label = "Mask Box"
    bl_description = "Drag a box around the object. What was drawn before is removed"

    def extend(self, drawn: list, place: tuple[float, float]) -> list:
        return [drawn[0], place]

    def make_stroke(self, context, points: tuple) -> Stroke | None:
        if len(points) != 2:
            return None
        (left, right), (bottom, top) = (
            sorted(min(max(value, 0.0), 1.0) for value in values) for values in zip(*points, strict=True)
        )
        is_box = right - left > 4 * _MIN_STEP and top - bottom > 4 * _MIN_STEP
        return Stroke("BOX", ((left, bottom), (right, top))) if is_box else None


class MaskStroke(_DrawingOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.mask_stroke"
    bl_label = "Mask Stroke"
    bl_description = "Paint over what belongs to the object, or to the ground"

    kind: EnumProperty(
        name="Kind",
        items=[
            ("OBJECT", "Object", "What is painted over belongs to the object"),
            ("GROUND", "Ground", "What is painted over does not belong to the object"),
        ],
    )

    def extend(self, drawn: list, place: tuple[float, float]) -> list:
        moved = max(abs(place[0] - drawn[-1][0]), abs(place[1] - drawn[-1][1]))
        return [*drawn, place] if moved > _MIN_STEP else drawn

    def make_stroke(self, context, points: tuple) -> Stroke | None:
        radius = context.window_manager.orbit_texture_mask_radius
        return Stroke(self.kind, points, radius) if points else None


class ClearMask(bpy.types.Operator):
    bl_idname = "orbit_texture.clear_mask"
    bl_label = "Clear Mask"
    bl_description = "Remove everything that was drawn to correct the mask of the active object's reference"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.object is None or not context.object.orbit_texture.strokes:
            cls.poll_message_set("Nothing was drawn")
            return False
        return True

    def execute(self, context):
        mask_correction.clear_correction(context.object)
        automatic.request_now()
        return {"FINISHED"}


class CorrectMask(bpy.types.Operator):
    bl_idname = "orbit_texture.correct_mask"
    bl_label = "Correct Mask"
    bl_description = (
        "Show the reference in an Image Editor, with tools to drag a box around the object, and to paint "
        "over what belongs to it and what does not"
    )

    @classmethod
    def poll(cls, context):
        return _DrawingOperator.poll.__func__(cls, context)

    def execute(self, context):
        image = context.scene.orbit_texture.find_image(context.object)
        if problem := _find_problem(image, None):
            self.report({"ERROR"}, problem)
            return {"CANCELLED"}
        area = _find_image_editor(context) or _split_viewport(context)
        if area is None:
            self.report(
                {"ERROR"}, "There is no room for an Image Editor. Open one beside the viewport first."
            )
            return {"CANCELLED"}
        space = area.spaces.active
        space.image, space.ui_mode = image, "VIEW"
        space.show_region_toolbar = space.show_region_tool_header = True
        with context.temp_override(area=area, region=_window_region(area)):
            bpy.ops.wm.tool_set_by_id(name=f"{mask_overlay.TOOL_PREFIX}object")
        if not bpy.app.background:
            # The area has its size only after it was drawn.
            bpy.app.timers.register(lambda: _fit_image(area), first_interval=0.1)
        return {"FINISHED"}


def _find_problem(image: bpy.types.Image, check: ReferenceCheck | None) -> str:
    """Why nothing can be drawn on a reference; "" if it can."""
    if not all(image.size):
        return (
            f"The image '{image.name}' has no pixels: its file is missing or damaged. Choose another image."
        )
    return SIDEWAYS if check and check.is_turned(image) else ""


def _image_place(context, event) -> tuple[float, float]:
    """Where the mouse is in the image, 0..1 with y up; outside of it beside that."""
    region = _window_region(context.area)
    x, y = region.view2d.region_to_view(event.mouse_x - region.x, event.mouse_y - region.y)
    return round(x, 5), round(y, 5)


def _window_region(area: bpy.types.Area) -> bpy.types.Region:
    return next(region for region in area.regions if region.type == "WINDOW")


def _find_image_editor(context) -> bpy.types.Area | None:
    areas = context.window.screen.areas if context.window else ()
    return next((area for area in areas if area.ui_type == "IMAGE_EDITOR"), None)


def _split_viewport(context) -> bpy.types.Area | None:
    """A new Image Editor in the left half of the window's largest viewport; None if there is no room."""
    areas = [area for area in context.window.screen.areas if area.type == "VIEW_3D"] if context.window else []
    largest = max(areas, key=lambda area: area.width * area.height, default=None)
    if largest is None or largest.width < _MIN_AREA_WIDTH:
        return None
    before = set(context.window.screen.areas)
    with context.temp_override(area=largest, region=_window_region(largest)):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=0.45)
    added = next((area for area in context.window.screen.areas if area not in before), None)
    if added is None:
        return None
    left = min((added, largest), key=lambda area: area.x)
    left.ui_type = "IMAGE_EDITOR"
    return left


def _fit_image(area: bpy.types.Area) -> None:
    for window in bpy.context.window_manager.windows:
        if area in window.screen.areas.values() and area.type == "IMAGE_EDITOR":
            with bpy.context.temp_override(window=window, area=area, region=_window_region(area)):
                bpy.ops.image.view_all(fit_view=True)


def register() -> None:
    bpy.types.WindowManager.orbit_texture_mask_radius = FloatProperty(
        name="Brush",
        description="Radius of the mask's brushes, as a fraction of the image's longer side",
        default=0.015,
        min=0.001,
        max=0.2,
        subtype="FACTOR",
        precision=3,
    )


def unregister() -> None:
    del bpy.types.WindowManager.orbit_texture_mask_radius
