"""Dismiss: removes settled jobs from the list."""

import bpy
from bpy.props import StringProperty

from ..jobs.queue import queue


class Dismiss(bpy.types.Operator):
    bl_idname = "orbit_texture.dismiss"
    bl_label = "Dismiss"
    bl_description = "Remove this job from the list. Takes on objects are kept"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job to remove; all settled ones if empty")

    def execute(self, context):
        for entry in list(queue.entries):
            if entry.is_settled and self.job in ("", entry.job):
                queue.dismiss(entry)
        return {"FINISHED"}
