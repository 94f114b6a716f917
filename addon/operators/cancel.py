"""Cancel: stops one job, or all of them."""

import bpy
from bpy.props import StringProperty

from ..queue import queue


class Cancel(bpy.types.Operator):
    bl_idname = "orbit_texture.cancel"
    bl_label = "Cancel"
    bl_description = "Stop texturing. Stages that are finished are kept, so the next run is shorter"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job to cancel; all of them if empty")

    def execute(self, context):
        for entry in queue.entries:
            if not entry.settled and self.job in ("", entry.job):
                queue.cancel(entry)
        return {"FINISHED"}
