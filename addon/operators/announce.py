"""Announce: a line in Blender's status bar and its Info editor. What an operator that a timer calls reports
goes only to the terminal, unless the operator is modal."""

import bpy
from bpy.props import EnumProperty, StringProperty


class Announce(bpy.types.Operator):
    bl_idname = "orbit_texture.announce"
    bl_label = "Announce"
    bl_description = "Show a line in the status bar"
    bl_options = {"INTERNAL"}

    text: StringProperty(description="The line", options={"SKIP_SAVE"})
    kind: EnumProperty(
        name="Kind",
        items=[("INFO", "Info", "Good to know"), ("WARNING", "Warning", "Something failed")],
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, event):
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        return self.execute(context) | {"PASS_THROUGH"}

    def execute(self, context):
        self.report({self.kind}, self.text)
        return {"FINISHED"}
