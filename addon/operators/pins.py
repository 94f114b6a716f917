"""Add Pins: click a point on the mesh, then the same point in the picture, which is shown in a corner of the viewport meanwhile."""

import blf
import bpy
import gpu
from bpy.app.translations import pgettext_rpt as rpt_
from bpy_extras.view3d_utils import location_3d_to_region_2d, region_2d_to_origin_3d, region_2d_to_vector_3d
from gpu_extras.batch import batch_for_shader
from gpu_extras.presets import draw_texture_2d
from mathutils import Vector

from ..pins import FEWEST, MOST

_LARGEST = 0.45
"""Of the viewport's width and height, for the picture."""

_MARGIN = 20
"""Pixels between the picture and the viewport's lower left corner."""

_COLOR = (1.0, 0.6, 0.1, 1.0)

# How draw_texture_2d is told what Blender's images are; older ones show them a little too dark.
_LINEAR = {"is_scene_linear_with_rec709_srgb_target": True} if bpy.app.version >= (5, 0, 0) else {}

Corner = tuple[float, float, float, float]
"""Left, bottom, width, height in the viewport's pixels."""


def corner(width: int, height: int, image: bpy.types.Image) -> Corner:
    """Where the picture is shown in a viewport of this size."""
    scale = min(_LARGEST * width / image.size[0], _LARGEST * height / image.size[1])
    return _MARGIN, _MARGIN, scale * image.size[0], scale * image.size[1]


def place_in(shown: Corner, x: float, y: float) -> tuple[float, float] | None:
    """Of a pixel of the viewport in the picture, 0..1 with y up; None beside it."""
    u, v = (x - shown[0]) / shown[2], (y - shown[1]) / shown[3]
    return (u, v) if 0 <= u <= 1 and 0 <= v <= 1 else None


def hit(obj: bpy.types.Object, context: bpy.types.Context, origin: Vector, direction: Vector) -> Vector | None:
    """The first point of an object, as it is seen, on a ray of the world's space. In the object's space; None if it misses."""
    inverse = obj.matrix_world.inverted_safe()
    evaluated = obj.evaluated_get(context.evaluated_depsgraph_get())
    found, point, _, _ = evaluated.ray_cast(inverse @ origin, inverse.to_3x3() @ direction)
    return point if found else None


class AddPins(bpy.types.Operator):
    bl_idname = "orbit_texture.add_pins"
    bl_label = "Add Pins"
    bl_description = "Click a point on the mesh, then the same point in the picture, 3 to 8 times; Esc ends it. The view of the " \
        "reference follows from them"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        obj, image = context.object, context.scene.orbit_texture.image
        if obj is None or obj.type != "MESH" or obj.mode != "OBJECT":
            cls.poll_message_set("Make a mesh object active, in Object Mode")
            return False
        if image is None or not image.size[0]:
            cls.poll_message_set("Choose a reference image first")
            return False
        if len(obj.orbit_texture.pins) >= MOST:
            cls.poll_message_set("There are as many pins as can be. Clear them to begin again")
            return False
        return context.space_data is not None and context.space_data.type == "VIEW_3D"

    def invoke(self, context, event):
        self._obj, self._image, self._point = context.object, context.scene.orbit_texture.image, None
        # Called from the sidebar; the clicks come in the viewport beside it.
        self._area = context.area
        self._region = next(region for region in context.area.regions if region.type == "WINDOW")
        self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        context.scene.orbit_texture.view = "PINS"
        context.window_manager.modal_handler_add(self)
        self._tell(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        x, y = event.mouse_x - self._region.x, event.mouse_y - self._region.y
        if event.type in {"ESC", "RET", "RIGHTMOUSE"} or context.object != self._obj:
            return self._end(context)
        if event.type != "LEFTMOUSE" or not (0 <= x < self._region.width and 0 <= y < self._region.height):
            return {"PASS_THROUGH"}
        if event.value == "PRESS":
            self._click(context, x, y)
        return self._end(context) if len(self._obj.orbit_texture.pins) >= MOST else {"RUNNING_MODAL"}

    def cancel(self, context):
        self._end(context)

    def _click(self, context, x: int, y: int) -> None:
        """Takes a point of the mesh, or of the picture if one of the mesh waits for it. A click beside both changes nothing."""
        place = place_in(corner(self._region.width, self._region.height, self._image), x, y)
        if place is None:
            view = self._area.spaces.active.region_3d
            ray = (region(self._region, view, (x, y)) for region in (region_2d_to_origin_3d, region_2d_to_vector_3d))
            # A click beside the mesh keeps the point before; another click on it replaces that.
            self._point = hit(self._obj, context, *ray) or self._point
        elif self._point is not None:
            pin = self._obj.orbit_texture.pins.add()
            pin.point, pin.place, self._point = self._point, place, None
        self._tell(context)

    def _tell(self, context) -> None:
        text = rpt_("Click a point on the mesh") if self._point is None else rpt_("Click the same point in the picture")
        count = len(self._obj.orbit_texture.pins)
        self._area.header_text_set(f"{text} ({rpt_('{} of {} to {}').format(count, FEWEST, MOST)}). {rpt_('Esc ends it')}")
        self._area.tag_redraw()

    def _end(self, context):
        bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
        self._area.header_text_set(None)
        self._area.tag_redraw()
        return {"FINISHED"}

    def _draw(self) -> None:
        if bpy.context.area != self._area:
            return
        left, bottom, width, height = corner(self._region.width, self._region.height, self._image)
        gpu.state.blend_set("ALPHA")
        draw_texture_2d(gpu.texture.from_image(self._image), (left, bottom), width, height, **_LINEAR)
        view = self._area.spaces.active.region_3d
        pins = self._obj.orbit_texture.pins
        points = [Vector(pin.point) for pin in pins] + ([self._point] if self._point is not None else [])
        on_mesh = [location_3d_to_region_2d(self._region, view, self._obj.matrix_world @ point) for point in points]
        in_picture = [Vector((left + pin.place[0] * width, bottom + pin.place[1] * height)) for pin in pins]
        for marks in (on_mesh, in_picture):
            _draw_marks(marks)
        gpu.state.blend_set("NONE")


class ClearPins(bpy.types.Operator):
    bl_idname = "orbit_texture.clear_pins"
    bl_label = "Clear Pins"
    bl_description = "Remove the active object's pins"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and bool(context.object.orbit_texture.pins)

    def execute(self, context):
        context.object.orbit_texture.pins.clear()
        return {"FINISHED"}


def _draw_marks(places: list[Vector | None]) -> None:
    """A numbered dot at each place, in the viewport's pixels; None for one behind the viewer."""
    numbered = [(number, place) for number, place in enumerate(places, 1) if place is not None]
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    shader.uniform_float("color", _COLOR)
    gpu.state.point_size_set(9)
    batch_for_shader(shader, "POINTS", {"pos": [(*place, 0.0) for _, place in numbered]}).draw(shader)
    blf.size(0, 16)
    blf.color(0, *_COLOR)
    for number, place in numbered:
        blf.position(0, place.x + 8, place.y + 8, 0)
        blf.draw(0, str(number))
