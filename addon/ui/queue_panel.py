"""The list of jobs: a row for each, with its state and its buttons."""

import math

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import IntProperty

from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from .base import OrbitPanel
from .job import describe_device, draw_job_line

ROWS = 6
"""Jobs on a page. The list always has so many rows, so that nothing moves when a job starts or ends."""


class QueuePanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_queue"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Jobs"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, context):
        if text := _count_jobs():
            self.layout.label(text=text, translate=False)

    def draw(self, context):
        layout, entries = self.layout, queue.entries
        waiting = [entry for entry in entries if entry.is_queued]
        pages = max(1, math.ceil(len(entries) / ROWS))
        page = min(context.window_manager.orbit_texture_jobs_page, pages)
        column = layout.column()
        shown = entries[(page - 1) * ROWS : page * ROWS]
        for entry in shown:
            _draw_entry(column, entry, waiting)
        for _ in range(ROWS - len(shown)):
            column.label(text="")
        row = column.row()
        row.enabled = pages > 1
        row.prop(
            context.window_manager,
            "orbit_texture_jobs_page",
            text=rpt_("Page {} of {}").format(page, pages),
            translate=False,
        )
        row = column.row()
        cancel, clear = row.row(), row.row()
        cancel.enabled, clear.enabled = queue.busy, any(entry.is_settled for entry in entries)
        cancel.operator("orbit_texture.cancel", text="Cancel All").job = ""
        clear.operator("orbit_texture.dismiss", text="Clear").job = ""
        column.label(text=describe_device(entries), translate=False)


def _count_jobs() -> str:
    """How many jobs of this run are left, or how many of them have failed; "" if all is well."""
    run = queue.last_run
    unsettled = sum(not entry.is_settled for entry in run)
    failed = sum(entry.error is not None and entry.error.code != "cancelled" for entry in run)
    if unsettled:
        return rpt_("{} of {} left").format(unsettled, len(run))
    return rpt_("{} failed").format(failed) if failed else ""


def _draw_entry(layout, entry: JobEntry, waiting: list[JobEntry]) -> None:
    row = layout.row(align=True)
    draw_job_line(row, entry, _icon(entry))
    if entry.is_queued and len(waiting) > 1:
        _draw_arrows(row, entry, waiting)
    if entry.report or entry.error:
        icon = "TEXT" if entry.report else "INFO"
        row.operator("orbit_texture.show_report", text="", icon=icon, emboss=False).job = entry.job
    if entry.is_settled:
        row.operator("orbit_texture.dismiss", text="", icon="X", emboss=False).job = entry.job


def _draw_arrows(row, entry: JobEntry, waiting: list[JobEntry]) -> None:
    """Draws the buttons that move a waiting job; greyed out at the ends of the queue."""
    earlier, later = row.row(align=True), row.row(align=True)
    earlier.enabled, later.enabled = entry is not waiting[0], entry is not waiting[-1]
    earlier.operator("orbit_texture.first", text="", icon="TRIA_UP_BAR", emboss=False).job = entry.job
    for column, direction in ((earlier, "UP"), (later, "DOWN")):
        button = column.operator("orbit_texture.move_job", text="", icon=f"TRIA_{direction}", emboss=False)
        button.job, button.direction = entry.job, direction


def _icon(entry: JobEntry) -> str:
    if entry.applied:
        return "CHECKMARK"
    if entry.error:
        return "CANCEL" if entry.error.code == "cancelled" else "ERROR"
    return "SORTTIME" if entry.is_queued else "IMPORT" if entry.download else "MESH_DATA"


def register() -> None:
    bpy.types.WindowManager.orbit_texture_jobs_page = IntProperty(
        name="Page", description="Page of the list of jobs", default=1, min=1
    )


def unregister() -> None:
    del bpy.types.WindowManager.orbit_texture_jobs_page
