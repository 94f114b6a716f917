"""Recall Settings: copies the settings of a take, or of an object's last job, back into the panel."""

import json

import bpy
from bpy.props import IntProperty

from ...backend.api.errors import InvalidSettings
from ...backend.api.settings import Settings


class RecallSettings(bpy.types.Operator):
    bl_idname = "orbit_texture.recall_settings"
    bl_label = "Recall Settings"
    bl_description = "Restore the settings that this texture was made with"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(
        name="Take",
        description="Index of the active object's take; -1 for its last job, even if that was cancelled",
        default=-1,
        min=-1,
    )

    @classmethod
    def poll(cls, context):
        own = context.object.orbit_texture if context.object else None
        if own is None or not (own.last or own.takes):
            cls.poll_message_set("The active object has not been textured yet")
            return False
        return True

    def execute(self, context):
        own = context.object.orbit_texture
        if self.index >= len(own.takes):
            self.report({"ERROR"}, "The object has no such take.")
            return {"CANCELLED"}
        recorded = own.takes[self.index].settings if self.index >= 0 else own.last
        try:
            settings = Settings.from_dict(json.loads(recorded or "{}"))
        except InvalidSettings as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        context.scene.orbit_texture.from_settings(settings)
        return {"FINISHED"}
