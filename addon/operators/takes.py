"""Show Take and Remove Take."""

import bpy
from bpy.props import IntProperty

from .. import takes


class _OnTake:
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(name="Take", description="Which take of the active object, counted from 0", min=0)

    @classmethod
    def poll(cls, context):
        if context.object is None or not context.object.orbit_texture.takes:
            cls.poll_message_set("The active object has no take")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return True

    def execute(self, context):
        if self.index >= len(context.object.orbit_texture.takes):
            self.report({"ERROR"}, "The object has no such take.")
            return {"CANCELLED"}
        self.run(context.object)
        return {"FINISHED"}


class ShowTake(_OnTake, bpy.types.Operator):
    bl_idname = "orbit_texture.show_take"
    bl_label = "Show Take"
    bl_description = "Put this take's material on the object"

    def run(self, obj: bpy.types.Object) -> None:
        takes.show(obj, self.index)


class RemoveTake(_OnTake, bpy.types.Operator):
    bl_idname = "orbit_texture.remove_take"
    bl_label = "Remove Take"
    bl_description = "Remove this take with its material, images and UV map; the object gets back what it wore before"

    def run(self, obj: bpy.types.Object) -> None:
        takes.remove(obj, self.index)
