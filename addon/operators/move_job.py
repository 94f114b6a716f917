"""Move Job: one place up or down among the jobs that wait."""

import bpy
from bpy.props import EnumProperty, StringProperty

from ..jobs.queue import queue


class MoveJob(bpy.types.Operator):
    bl_idname = "orbit_texture.move_job"
    bl_label = "Move Job"
    bl_description = "Have this job done one place earlier or later. The one at work goes on"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job that waits")
    direction: EnumProperty(
        name="Direction", items=[("UP", "Up", "Do it earlier"), ("DOWN", "Down", "Do it later")]
    )

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None or not entry.is_queued:
            return {"CANCELLED"}
        queue.move(entry, -1 if self.direction == "UP" else 1)
        return {"FINISHED"}
