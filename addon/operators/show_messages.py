"""Show Messages: shows all that the panel has to say about the active object, in a popup."""

import bpy

from ..ui.main_panel import find_entry
from ..ui.messages import draw_messages, list_messages
from ..ui.text import DIALOG_WIDTH


class ShowMessages(bpy.types.Operator):
    bl_idname = "orbit_texture.show_messages"
    bl_label = "Show Messages"
    bl_description = "Show every message about the active object in full, with the buttons that help"
    bl_options = {"INTERNAL"}

    def invoke(self, context, event):
        return context.window_manager.invoke_popup(self, width=DIALOG_WIDTH)

    def draw(self, context):
        messages = list_messages(context, find_entry(context.object))
        draw_messages(self.layout, context, messages, DIALOG_WIDTH)

    def execute(self, context):
        messages = list_messages(context, find_entry(context.object))
        self.report({"INFO"}, "\n".join(message.text for message in messages))
        return {"FINISHED"}
