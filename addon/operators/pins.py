"""Add Pins: click a point on the mesh, then the same point in the reference, which is drawn in a corner of
the viewport meanwhile."""

import blf
import bpy
import gpu
from bpy.app.translations import pgettext_rpt as rpt_
from bpy_extras.view3d_utils import location_3d_to_region_2d, region_2d_to_origin_3d, region_2d_to_vector_3d
from mathutils import Vector

from ..viewport import image_overlay
from ..viewport.image_overlay import Rectangle
from ..viewport.pins import MAX_PINS, MIN_PINS
from ..viewport.shaders import draw_shape

_MAX_IMAGE_FRACTION = 0.45
"""Largest fraction of the viewport's width and height that the image takes up."""

_IMAGE_MARGIN = 20
"""Pixels between the image and the viewport's lower left corner."""

_PIN_COLOR = (1.0, 0.6, 0.1, 1.0)


def image_rectangle(width: int, height: int, image: bpy.types.Image) -> Rectangle:
    """The rectangle in which the image is drawn in a viewport of this size, in pixels."""
    scale = min(_MAX_IMAGE_FRACTION * width / image.size[0], _MAX_IMAGE_FRACTION * height / image.size[1])
    return _IMAGE_MARGIN, _IMAGE_MARGIN, scale * image.size[0], scale * image.size[1]


def to_image_point(shown: Rectangle, x: float, y: float) -> tuple[float, float] | None:
    """Where a pixel of the viewport lies in the image, 0..1 with y up; None if it is outside."""
    u, v = (x - shown[0]) / shown[2], (y - shown[1]) / shown[3]
    return (u, v) if 0 <= u <= 1 and 0 <= v <= 1 else None


def ray_cast(
    obj: bpy.types.Object, context: bpy.types.Context, origin: Vector, direction: Vector
) -> Vector | None:
    """The first point of the evaluated object on a ray, in object space; None if the ray misses.

    Args:
        origin, direction: of the ray, in world space.
    """
    inverse = obj.matrix_world.inverted_safe()
    evaluated = obj.evaluated_get(context.evaluated_depsgraph_get())
    found, point, _, _ = evaluated.ray_cast(inverse @ origin, inverse.to_3x3() @ direction)
    return point if found else None


def handle_click(
    context: bpy.types.Context,
    region: bpy.types.Region,
    view: bpy.types.RegionView3D,
    pending_point: Vector | None,
    x: int,
    y: int,
) -> Vector | None:
    """Picks a point on the mesh, or adds a pin to the active object if a picked point waits for its place in
    the image.

    Args:
        pending_point: the point on the mesh that was picked last, in object space.
        x, y: of the click, in the region's pixels.

    Returns:
        The picked point that now waits for its place in the image. A click beside mesh and image changes
        nothing.
    """
    obj = context.object
    rectangle = image_rectangle(region.width, region.height, context.scene.orbit_texture.find_image(obj))
    place = to_image_point(rectangle, x, y)
    if place is None:
        origin = region_2d_to_origin_3d(region, view, (x, y))
        direction = region_2d_to_vector_3d(region, view, (x, y))
        return ray_cast(obj, context, origin, direction) or pending_point
    if pending_point is not None:
        pin = obj.orbit_texture.pins.add()
        pin.point, pin.place = pending_point, place
    return None


def draw_pins(
    context: bpy.types.Context,
    region: bpy.types.Region,
    view: bpy.types.RegionView3D,
    pending_point: Vector | None,
) -> None:
    """Draws the image, and numbered dots on it and on the mesh; ``pending_point`` is as for
    :func:`handle_click`."""
    obj = context.object
    image = context.scene.orbit_texture.find_image(obj)
    left, bottom, width, height = shown = image_rectangle(region.width, region.height, image)
    image_overlay.draw_image(image, shown)
    gpu.state.blend_set("ALPHA")
    points = [Vector(pin.point) for pin in obj.orbit_texture.pins] + (
        [pending_point] if pending_point is not None else []
    )
    _draw_marks([location_3d_to_region_2d(region, view, obj.matrix_world @ point) for point in points])
    _draw_marks(
        [
            Vector((left + pin.place[0] * width, bottom + pin.place[1] * height))
            for pin in obj.orbit_texture.pins
        ]
    )
    gpu.state.blend_set("NONE")


class AddPins(bpy.types.Operator):
    bl_idname = "orbit_texture.add_pins"
    bl_label = "Add Pins"
    bl_description = (
        "Click a point on the mesh, then the same point in the reference image, 3 to 8 times. Esc finishes. "
        "The view of the reference is computed from these pins"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        obj = context.object
        image = context.scene.orbit_texture.find_image(obj)
        if obj is None or obj.type != "MESH" or obj.mode != "OBJECT":
            cls.poll_message_set("Make a mesh object active, in Object Mode")
            return False
        if image is None or not image.size[0]:
            cls.poll_message_set("Choose a reference image first")
            return False
        if len(obj.orbit_texture.pins) >= MAX_PINS:
            cls.poll_message_set("The object has the maximum number of pins. Clear them to start over")
            return False
        return context.space_data is not None and context.space_data.type == "VIEW_3D"

    def invoke(self, context, event):
        # Undo may replace the object and the layout may lose the area meanwhile, so only their identities are
        # stored.
        self._object_uid, self._area = context.object.session_uid, context.area.as_pointer()
        self._pending_point = None
        self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        context.scene.orbit_texture.view = "PINS"
        context.window_manager.modal_handler_add(self)
        self._update_header(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if (
            event.type in {"ESC", "RET", "RIGHTMOUSE"}
            or context.area is None
            or not self._is_target_valid(context)
        ):
            return self._end(context)
        # The operator may have been called from the sidebar; the clicks are in the viewport beside it.
        region = next(region for region in context.area.regions if region.type == "WINDOW")
        x, y = event.mouse_x - region.x, event.mouse_y - region.y
        if event.type != "LEFTMOUSE" or not (0 <= x < region.width and 0 <= y < region.height):
            return {"PASS_THROUGH"}
        if event.value == "PRESS":
            self._pending_point = handle_click(
                context, region, context.area.spaces.active.region_3d, self._pending_point, x, y
            )
            self._update_header(context)
        return self._end(context) if len(context.object.orbit_texture.pins) >= MAX_PINS else {"RUNNING_MODAL"}

    def cancel(self, context):
        self._end(context)

    def _is_target_valid(self, context) -> bool:
        """Whether the object is still active and there still is a reference."""
        obj = context.object
        return (
            obj is not None
            and obj.session_uid == self._object_uid
            and context.scene.orbit_texture.find_image(obj) is not None
        )

    def _update_header(self, context) -> None:
        text = (
            rpt_("Click a point on the mesh")
            if self._pending_point is None
            else rpt_("Click the same point in the image")
        )
        count = len(context.object.orbit_texture.pins)
        pins = rpt_("{} of {} to {} pins").format(count, MIN_PINS, MAX_PINS)
        context.area.header_text_set(f"{text} ({pins}). {rpt_('Esc finishes')}")
        context.area.tag_redraw()

    def _end(self, context):
        bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
        if context.area:
            context.area.header_text_set(None)
            context.area.tag_redraw()
        return {"FINISHED"}

    def _draw(self) -> None:
        context = bpy.context
        if context.area.as_pointer() == self._area and self._is_target_valid(context):
            draw_pins(context, context.region, context.region_data, self._pending_point)


class ClearPins(bpy.types.Operator):
    bl_idname = "orbit_texture.clear_pins"
    bl_label = "Clear Pins"
    bl_description = "Remove all pins of the active object"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and bool(context.object.orbit_texture.pins)

    def execute(self, context):
        context.object.orbit_texture.pins.clear()
        return {"FINISHED"}


def _draw_marks(places: list[Vector | None]) -> None:
    """Draws a numbered dot at each place, in the viewport's pixels; None is a place behind the viewer."""
    numbered = [(number, place) for number, place in enumerate(places, 1) if place is not None]
    if not numbered:
        return
    gpu.state.point_size_set(9)
    draw_shape("POINTS", [place for _, place in numbered], _PIN_COLOR)
    blf.size(0, 16)
    blf.color(0, *_PIN_COLOR)
    for number, place in numbered:
        blf.position(0, place.x + 8, place.y + 8, 0)
        blf.draw(0, str(number))
