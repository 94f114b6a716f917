"""Show Report: shows the report of a job or a take in a popup."""

import json

import bpy
from bpy.props import IntProperty, StringProperty

from ..jobs.queue import queue
from ..objects.report import describe_report
from ..ui.text import draw_wrapped_text

_REPORT_WIDTH = 420


class ShowReport(bpy.types.Operator):
    bl_idname = "orbit_texture.show_report"
    bl_label = "Show Report"
    bl_description = (
        "Show how a texture was made: how much of it the views saw, the view of the reference, and the time "
        "of each stage"
    )
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The finished job; empty for a take")
    index: IntProperty(name="Take", description="Index of the active object's take", min=0)

    def invoke(self, context, event):
        return (
            context.window_manager.invoke_popup(self, width=_REPORT_WIDTH)
            if self._report(context)
            else {"CANCELLED"}
        )

    def draw(self, context):
        for line in describe_report(self._report(context)):
            draw_wrapped_text(self.layout, context, line, width=_REPORT_WIDTH, icon="DOT")

    def execute(self, context):
        report = self._report(context)
        if not report:
            return {"CANCELLED"}
        self.report({"INFO"}, "\n".join(describe_report(report)))
        return {"FINISHED"}

    def _report(self, context) -> dict | None:
        if self.job:
            entry = queue.find(self.job)
            return entry.report if entry else None
        takes = context.object.orbit_texture.takes if context.object else ()
        return json.loads(takes[self.index].report) if self.index < len(takes) else None
