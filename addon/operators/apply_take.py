"""Apply Take: a finished job's result becomes a take on its objects, as one undo step."""

import bpy
from bpy.props import StringProperty

from ...backend.api.errors import OrbitError
from ..jobs.queue import queue


class ApplyTake(bpy.types.Operator):
    bl_idname = "orbit_texture.apply_take"
    bl_label = "Apply Take"
    bl_description = "Put a finished texture on its object as a new take"
    bl_options = {"INTERNAL", "UNDO"}

    job: StringProperty(description="The job whose result is applied")

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None or entry.result is None:
            return {"CANCELLED"}
        try:
            queue.apply(entry)
        except OrbitError as error:
            # The row shows it. A report of the type ERROR would raise an exception in the timer that called.
            self.report({"WARNING"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}
