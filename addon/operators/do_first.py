"""Do First: a job that waits overtakes the others that wait."""

import bpy
from bpy.props import StringProperty

from ..jobs.queue import queue


class First(bpy.types.Operator):
    bl_idname = "orbit_texture.first"
    bl_label = "Do First"
    bl_description = "Do this job before the others that wait. The one at work goes on"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job that waits")

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None or not entry.is_queued:
            return {"CANCELLED"}
        queue.move_to_front(entry)
        return {"FINISHED"}
