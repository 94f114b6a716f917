"""Move Job: moves a waiting job one place up or down in the queue."""

import bpy
from bpy.props import EnumProperty, StringProperty

from ..jobs.queue import queue


class MoveJob(bpy.types.Operator):
    bl_idname = "orbit_texture.move_job"
    bl_label = "Move Job"
    bl_description = "Run this job one place earlier or later. The running job is not interrupted"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The waiting job")
    direction: EnumProperty(
        name="Direction", items=[("UP", "Up", "Run it earlier"), ("DOWN", "Down", "Run it later")]
    )

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None or not entry.is_queued:
            return {"CANCELLED"}
        queue.move(entry, -1 if self.direction == "UP" else 1)
        return {"FINISHED"}
