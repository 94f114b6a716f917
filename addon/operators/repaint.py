"""Repaint Region: makes a new take that differs from the shown one only in a region. Mark Region and Clear
Region edit that region."""

import bpy

from ...backend.api.errors import OrbitError
from ..jobs import queue_timer, reference
from ..jobs.queue import queue
from ..jobs.submission import JobInputs
from ..objects import mesh_io, region, takes
from ..viewport import reference_view


class _ShownTakeOperator:
    @classmethod
    def poll(cls, context):
        obj = context.object
        if obj is None or obj.type != "MESH" or takes.find_shown_index(obj) < 0:
            cls.poll_message_set("The active object shows no take. Texture it first")
            return False
        return cls.is_ready(context, obj)

    def execute(self, context):
        obj = context.object
        try:
            self.run(context, obj, region.get_shown_take(obj))
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}


class RepaintRegion(_ShownTakeOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.repaint_region"
    bl_label = "Repaint Region"
    bl_description = (
        "Repaint the selected faces, or the region painted with Mark Region, from the reference. The result "
        "is a new take that is identical to the shown one everywhere else"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def is_ready(cls, context, obj) -> bool:
        if context.scene.orbit_texture.find_image(obj) is None:
            cls.poll_message_set("Choose a reference image first")
        elif queue.is_texturing(obj):
            cls.poll_message_set("The active object is already being textured")
        elif obj.mode == "EDIT" and not obj.data.total_face_sel:
            cls.poll_message_set("Select the faces to repaint")
        elif obj.mode != "EDIT" and obj.orbit_texture.region is None:
            cls.poll_message_set("Select faces in Edit Mode, or press Mark Region and paint on the object")
        else:
            return True
        return False

    def run(self, context, obj, take) -> None:
        faces = obj.mode == "EDIT"
        image = reference.from_image(context.scene.orbit_texture.find_image(obj))
        settings = region.repaint_settings(obj, take, reference_view.settings_with_view(obj, context))
        if obj.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        mesh_io.check_object(obj)
        marked = mesh_io.read_selection(obj, take.own_topology) if faces else region.read_mask(obj, take)
        is_pinned = context.scene.orbit_texture.view == "PINS"
        inputs = JobInputs(image, settings, region.prepare_repaint(obj, take, marked), uses_pins=is_pinned)
        queue.add(region.objects_showing(obj, take), inputs)
        queue_timer.start()


class MarkRegion(_ShownTakeOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.mark_region"
    bl_label = "Mark Region"
    bl_description = (
        "Switch to Texture Paint Mode to paint a mask on the object: Repaint Region repaints what is white "
        "and keeps what is black"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def is_ready(cls, context, obj) -> bool:
        return True

    def run(self, context, obj, take) -> None:
        if obj.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        canvas = region.find_or_create_mask(obj, take)
        bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
        paint = context.scene.tool_settings.image_paint
        paint.mode, paint.canvas = "IMAGE", canvas
        _set_brush_white(context.scene.tool_settings)


class ClearRegion(bpy.types.Operator):
    bl_idname = "orbit_texture.clear_region"
    bl_label = "Clear Region"
    bl_description = "Remove the mask of Mark Region"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.object.orbit_texture.region is not None

    def execute(self, context):
        region.remove_mask(context.object)
        return {"FINISHED"}


def _set_brush_white(tools: bpy.types.ToolSettings) -> None:
    """Makes the brush paint white, and black with Ctrl."""
    # Blender 5 has separate settings for each paint mode.
    shared = getattr(tools.image_paint, "unified_paint_settings", None) or tools.unified_paint_settings
    brush = tools.image_paint.brush
    holder = brush if brush and not shared.use_unified_color else shared
    holder.color, holder.secondary_color = (1, 1, 1), (0, 0, 0)
