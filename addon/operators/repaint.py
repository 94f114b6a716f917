"""Repaint Region: a new take that differs from the shown one only where the user says; Mark Region and Clear
Region say where."""

import bpy

from ...backend.api.errors import OrbitError
from ..jobs import queue_timer, reference
from ..jobs.queue import queue
from ..objects import mesh_io, region, takes
from ..viewport import reference_view


class _OnShownTake:
    @classmethod
    def poll(cls, context):
        obj = context.object
        if obj is None or obj.type != "MESH" or takes.shown(obj) < 0:
            cls.poll_message_set("The active object wears no take. Texture it first")
            return False
        return cls.ready(context, obj)

    def execute(self, context):
        obj = context.object
        try:
            self.run(context, obj, region.worn(obj))
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}


class RepaintRegion(_OnShownTake, bpy.types.Operator):
    bl_idname = "orbit_texture.repaint_region"
    bl_label = "Repaint Region"
    bl_description = (
        "Paint the selected faces, or what Mark Region marked, anew after the reference. The result is a new "
        "take; everywhere else it is as the shown one, texel by texel"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def ready(cls, context, obj) -> bool:
        if context.scene.orbit_texture.image is None:
            cls.poll_message_set("Choose a reference image first")
        elif queue.is_texturing(obj):
            cls.poll_message_set("The active object is being textured already")
        elif obj.mode == "EDIT" and not obj.data.total_face_sel:
            cls.poll_message_set("Select the faces to paint anew")
        elif obj.mode != "EDIT" and obj.orbit_texture.region is None:
            cls.poll_message_set("Select faces in Edit Mode, or press Mark Region and paint on the object")
        else:
            return True
        return False

    def run(self, context, obj, take) -> None:
        faces = obj.mode == "EDIT"
        picture = reference.from_image(context.scene.orbit_texture.image)
        settings = region.settings(obj, take, reference_view.settings_for(obj, context))
        if obj.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        mesh_io.check(obj)
        marked = mesh_io.selection(obj, take.own_topology) if faces else region.painted(obj, take)
        queue.add(region.wearers(obj, take), picture, settings, region.repaint(obj, take, marked))
        queue_timer.start()


class MarkRegion(_OnShownTake, bpy.types.Operator):
    bl_idname = "orbit_texture.mark_region"
    bl_label = "Mark Region"
    bl_description = (
        "Go to Texture Paint Mode and paint a mask over the object: white is painted anew by Repaint "
        "Region, black stays"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def ready(cls, context, obj) -> bool:
        return True

    def run(self, context, obj, take) -> None:
        if obj.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        canvas = region.mask(obj, take)
        bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
        paint = context.scene.tool_settings.image_paint
        paint.mode, paint.canvas = "IMAGE", canvas
        _take_white(context.scene.tool_settings)


class ClearRegion(bpy.types.Operator):
    bl_idname = "orbit_texture.clear_region"
    bl_label = "Clear Region"
    bl_description = "Remove the mask that Mark Region made"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.object.orbit_texture.region is not None

    def execute(self, context):
        region.clear(context.object)
        return {"FINISHED"}


def _take_white(tools: bpy.types.ToolSettings) -> None:
    """The brush paints white, and black with Ctrl."""
    # Blender 5 has these settings once per mode of painting.
    shared = getattr(tools.image_paint, "unified_paint_settings", None) or tools.unified_paint_settings
    brush = tools.image_paint.brush
    holder = brush if brush and not shared.use_unified_color else shared
    holder.color, holder.secondary_color = (1, 1, 1), (0, 0, 0)
