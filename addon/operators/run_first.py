"""Run First: moves a waiting job to the front of the queue."""

import bpy
from bpy.props import StringProperty

from ..jobs.queue import queue


class RunFirst(bpy.types.Operator):
    bl_idname = "orbit_texture.first"
    bl_label = "Run First"
    bl_description = "Run this job before the other waiting jobs. The running job is not interrupted"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The waiting job")

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None or not entry.is_queued:
            return {"CANCELLED"}
        queue.move_to_front(entry)
        return {"FINISHED"}
