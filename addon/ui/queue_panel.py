"""The jobs: a row for each, with its state, its error and what can be done with it."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from .base import OrbitPanel
from .job import draw_job

MAX_ROWS = 15
"""More rows than this are only counted; the unsettled and the failed ones come first."""


class QueuePanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_queue"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Jobs"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return bool(queue.entries)

    def draw_header_preset(self, context):
        unsettled = sum(not entry.is_settled for entry in queue.entries)
        failed = sum(entry.error is not None and entry.error.code != "cancelled" for entry in queue.entries)
        if unsettled:
            self.layout.label(
                text=rpt_("{} of {} left").format(unsettled, len(queue.entries)), translate=False
            )
        elif failed:
            self.layout.label(text=rpt_("{} failed").format(failed), translate=False)

    def draw(self, context):
        entries = sorted(queue.entries, key=lambda entry: (entry.is_settled, entry.applied))
        waiting = [entry for entry in entries if entry.is_queued]
        for entry in entries[:MAX_ROWS]:
            _draw_entry(self.layout.box(), context, entry, waiting)
        if len(entries) > MAX_ROWS:
            self.layout.label(text=rpt_("… and {} more").format(len(entries) - MAX_ROWS))
        row = self.layout.row()
        if queue.busy:
            row.operator("orbit_texture.cancel", text="Cancel All").job = ""
        if any(entry.is_settled for entry in entries):
            row.operator("orbit_texture.dismiss", text="Clear").job = ""


def _draw_entry(layout, context, entry: JobEntry, waiting: list[JobEntry]) -> None:
    row = layout.row()
    row.label(text=entry.name, icon=_icon(entry), translate=False)
    if entry.is_queued and len(waiting) > 1:
        _draw_arrows(row.row(align=True), entry, waiting)
    if entry.report:
        row.operator("orbit_texture.show_report", text="", icon="TEXT", emboss=False).job = entry.job
    if entry.is_settled:
        row.operator("orbit_texture.dismiss", text="", icon="X", emboss=False).job = entry.job
    draw_job(layout, context, entry)


def _draw_arrows(row, entry: JobEntry, waiting: list[JobEntry]) -> None:
    """Grey where the job is at that end of those that wait."""
    earlier, later = row.row(align=True), row.row(align=True)
    earlier.enabled, later.enabled = entry is not waiting[0], entry is not waiting[-1]
    earlier.operator("orbit_texture.first", text="", icon="TRIA_UP_BAR", emboss=False).job = entry.job
    for part, direction in ((earlier, "UP"), (later, "DOWN")):
        button = part.operator("orbit_texture.move_job", text="", icon=f"TRIA_{direction}", emboss=False)
        button.job, button.direction = entry.job, direction


def _icon(entry: JobEntry) -> str:
    if entry.applied:
        return "CHECKMARK"
    if entry.error:
        return "CANCEL" if entry.error.code == "cancelled" else "ERROR"
    return "SORTTIME" if entry.is_queued else "IMPORT" if entry.download else "MESH_DATA"
