"""The tools that correct the reference's mask in the Image Editor, and their panel in its sidebar."""

import math

import bpy
import gpu
from bpy.app.translations import pgettext_rpt as rpt_

from ..objects import mask_correction
from ..reference_check import mask_overlay
from ..reference_check.checks import checks
from ..viewport.shaders import draw_shape
from .reference_check import draw_check_line, draw_findings
from .text import draw_wrapped_text

_PRESS = {"type": "LEFTMOUSE", "value": "PRESS"}
_CURSOR_SEGMENTS = 48
_CURSOR_COLOR = (1.0, 1.0, 1.0, 0.8)


def _stroke_keymap(kind: str, other: str) -> tuple:
    """Painting with a brush; with Ctrl it paints the other kind."""
    return (
        ("orbit_texture.mask_stroke", _PRESS, {"properties": [("kind", kind)]}),
        ("orbit_texture.mask_stroke", _PRESS | {"ctrl": True}, {"properties": [("kind", other)]}),
    )


def _draw_radius(context, layout, _tool) -> None:
    layout.prop(context.window_manager, "orbit_texture_mask_radius", slider=True)


def _draw_brush_circle(context, _tool, xy) -> None:
    image, region = context.space_data.image, context.region
    if image is None or not all(image.size):
        return
    x, y = (place - corner for place, corner in zip(xy, (region.x, region.y), strict=True))
    (left, _), (right, _) = (region.view2d.view_to_region(at, 0, clip=False) for at in (0.0, 1.0))
    radius = (
        context.window_manager.orbit_texture_mask_radius * max(image.size) / image.size[0] * (right - left)
    )
    angles = [2 * math.pi * number / _CURSOR_SEGMENTS for number in range(_CURSOR_SEGMENTS)]
    circle = [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
    gpu.state.blend_set("ALPHA")
    draw_shape("LINE_LOOP", circle, _CURSOR_COLOR)
    gpu.state.blend_set("NONE")


class MaskTool:
    """In the Image Editor's mode View."""

    bl_space_type = "IMAGE_EDITOR"
    bl_context_mode = "VIEW"
    bl_cursor = "CROSSHAIR"
    bl_widget = None


class MaskBrush(MaskTool):
    """Its radius is in the tool's header, and drawn around the mouse."""

    draw_settings = staticmethod(_draw_radius)
    draw_cursor = staticmethod(_draw_brush_circle)


class ObjectBrush(MaskBrush, bpy.types.WorkSpaceTool):
    bl_idname = f"{mask_overlay.TOOL_PREFIX}object"
    bl_label = "Object Brush"
    bl_description = "Paint over what belongs to the object in the reference; with Ctrl, what does not"
    bl_icon = "ops.gpencil.draw"
    bl_keymap = _stroke_keymap("OBJECT", "GROUND")


class GroundBrush(MaskBrush, bpy.types.WorkSpaceTool):
    bl_idname = f"{mask_overlay.TOOL_PREFIX}ground"
    bl_label = "Ground Brush"
    bl_description = "Paint over what does not belong to the object in the reference; with Ctrl, what does"
    bl_icon = "ops.gpencil.draw.eraser"
    bl_keymap = _stroke_keymap("GROUND", "OBJECT")


class ObjectBox(MaskTool, bpy.types.WorkSpaceTool):
    bl_idname = f"{mask_overlay.TOOL_PREFIX}box"
    bl_label = "Object Box"
    bl_description = "Drag a box around the object in the reference; it removes what was drawn before"
    bl_icon = "ops.generic.select_box"
    bl_keymap = (("orbit_texture.mask_box", _PRESS, None),)


TOOLS = (ObjectBox, ObjectBrush, GroundBrush)


class MaskPanel(bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_mask"
    bl_label = "Reference Mask"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Orbit Texture"

    @classmethod
    def poll(cls, context):
        obj = context.object
        return (
            obj is not None and obj.type == "MESH" and context.scene.orbit_texture.find_image(obj) is not None
        )

    def draw(self, context):
        layout, panel, obj = self.layout, context.scene.orbit_texture, context.object
        image = panel.find_image(obj)
        if context.space_data.image != image:
            draw_wrapped_text(layout, context, "This image is not the object's reference.", icon="INFO")
            layout.operator("orbit_texture.correct_mask", text="Show Reference", icon="IMAGE_DATA")
            return
        active = mask_overlay.active_tool(context)
        column = layout.column(align=True)
        for tool in TOOLS:
            button = column.operator(
                "wm.tool_set_by_id", text=tool.bl_label, depress=active == tool.bl_idname
            )
            button.name = tool.bl_idname
        layout.prop(context.window_manager, "orbit_texture_mask_radius", slider=True)
        correction = mask_correction.get_correction(obj, image)
        row = layout.row()
        count = len(correction.strokes) if correction else 0
        row.label(text=rpt_("Strokes: {}").format(count), translate=False)
        row.operator("orbit_texture.clear_mask", icon="X")
        draw_check_line(layout, context)
        if check := checks.find(obj, panel):
            draw_findings(layout, context, check)


def register() -> None:
    for number, tool in enumerate(TOOLS):
        bpy.utils.register_tool(tool, separator=number == 0)


def unregister() -> None:
    for tool in reversed(TOOLS):
        bpy.utils.unregister_tool(tool)
