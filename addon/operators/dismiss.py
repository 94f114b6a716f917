"""Dismiss: takes settled rows off the list."""

import bpy
from bpy.props import StringProperty

from ..jobs.queue import queue


class Dismiss(bpy.types.Operator):
    bl_idname = "orbit_texture.dismiss"
    bl_label = "Dismiss"
    bl_description = "Remove this row from the list. Takes that are on an object stay there"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job whose row goes; all settled ones if empty")

    def execute(self, context):
        for entry in list(queue.entries):
            if entry.is_settled and self.job in ("", entry.job):
                queue.dismiss(entry)
        return {"FINISHED"}
