"""Show Report: shows the report of a job or a take, or why a job has failed, in a popup."""

import json

import bpy
from bpy.props import IntProperty, StringProperty

from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from ..objects.report import describe_report
from ..ui.messages import draw_messages, find_job_messages
from ..ui.text import draw_wrapped_text

_REPORT_WIDTH = 420


class ShowReport(bpy.types.Operator):
    bl_idname = "orbit_texture.show_report"
    bl_label = "Show Report"
    bl_description = (
        "Show how a texture was made, or why it was not: how much of it the views saw, the view of the "
        "reference, and the time of each stage"
    )
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The finished job; empty for a take")
    index: IntProperty(name="Take", description="Index of the active object's take", min=0)

    def invoke(self, context, event):
        return (
            context.window_manager.invoke_popup(self, width=_REPORT_WIDTH)
            if self._failed_entry() or self._report(context)
            else {"CANCELLED"}
        )

    def draw(self, context):
        if entry := self._failed_entry():
            draw_messages(self.layout, context, list(find_job_messages(context, entry)), _REPORT_WIDTH)
            return
        for line in describe_report(self._report(context)):
            draw_wrapped_text(self.layout, context, line, width=_REPORT_WIDTH, icon="DOT")

    def execute(self, context):
        if entry := self._failed_entry():
            self.report({"INFO"}, entry.error.message)
            return {"FINISHED"}
        report = self._report(context)
        if not report:
            return {"CANCELLED"}
        self.report({"INFO"}, "\n".join(describe_report(report)))
        return {"FINISHED"}

    def _failed_entry(self) -> JobEntry | None:
        entry = queue.find(self.job) if self.job else None
        return entry if entry and entry.error else None

    def _report(self, context) -> dict | None:
        if self.job:
            entry = queue.find(self.job)
            return entry.report if entry else None
        takes = context.object.orbit_texture.takes if context.object else ()
        return json.loads(takes[self.index].report) if self.index < len(takes) else None
