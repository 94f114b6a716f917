"""Show Take, Show Next Take and Remove Take, on the active object."""

import bpy
from bpy.props import IntProperty

from ..objects import takes


class _TakesOperator:
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.object is None or not context.object.orbit_texture.takes:
            cls.poll_message_set("The active object has no take")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True


class _TakeOperator(_TakesOperator):
    """Of a row of the list, whose number a script gives."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    index: IntProperty(name="Take", description="Index of the active object's take", min=0)

    def execute(self, context):
        if self.index >= len(context.object.orbit_texture.takes):
            self.report({"ERROR"}, "The object has no such take.")
            return {"CANCELLED"}
        return self.run(context.object)


class ShowTake(_TakeOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.show_take"
    bl_label = "Show Take"
    bl_description = "Show this take's material on the object"

    def run(self, obj: bpy.types.Object) -> set:
        takes.show_take(obj, self.index)
        return {"FINISHED"}


class NextTake(_TakesOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.next_take"
    bl_label = "Show Next Take"
    bl_description = "Show the next take's material on the object; after the last comes the first"

    def execute(self, context):
        obj = context.object
        takes.show_take(obj, (takes.find_shown_index(obj) + 1) % len(obj.orbit_texture.takes))
        return {"FINISHED"}


class RemoveTake(_TakeOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.remove_take"
    bl_label = "Remove Take"
    bl_description = (
        "Remove this take with its material, images and UV map, and show what the object had before"
    )

    def run(self, obj: bpy.types.Object) -> set:
        if obj.orbit_texture.takes[self.index].locked:
            self.report({"ERROR"}, "The take is locked. Unlock it first.")
            return {"CANCELLED"}
        takes.remove_take(obj, self.index)
        return {"FINISHED"}
