"""Apply Take: adds a finished job's result to its objects as a new take, in one undo step."""

import bpy
from bpy.props import StringProperty

from ...backend.api.errors import OrbitError
from ..jobs.queue import queue


class ApplyTake(bpy.types.Operator):
    bl_idname = "orbit_texture.apply_take"
    bl_label = "Apply Take"
    bl_description = "Add a finished texture to its object as a new take"
    bl_options = {"INTERNAL", "UNDO"}

    job: StringProperty(description="The job whose result is applied")

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None or entry.result is None:
            return {"CANCELLED"}
        try:
            queue.apply(entry)
        except OrbitError as error:
            # The job's row shows the error. A report of type ERROR would raise an exception in the timer.
            self.report({"WARNING"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}
