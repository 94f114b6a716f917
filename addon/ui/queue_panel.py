"""The jobs: a row for each, with its progress, its error and the button that mends it."""

import bpy

from .. import previews
from ..queue import Entry, queue
from .panel import OrbitPanel
from .text import status, wrapped

MAX_ROWS = 15
"""More rows than this are only counted; the unsettled and the failed ones come first."""


PREVIEW_COLUMNS, PREVIEW_SCALE = 4, 2.8
"""Of the small pictures of a job at work."""


class QueuePanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_queue"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Jobs"

    @classmethod
    def poll(cls, context):
        return bool(queue.entries)

    def draw(self, context):
        entries = sorted(queue.entries, key=lambda entry: (entry.settled, entry.applied))
        for entry in entries[:MAX_ROWS]:
            _draw_entry(self.layout.box(), context, entry)
        if len(entries) > MAX_ROWS:
            self.layout.label(text=f"… and {len(entries) - MAX_ROWS} more")
        row = self.layout.row()
        if queue.busy:
            row.operator("orbit_texture.cancel", text="Cancel All").job = ""
        if any(entry.settled for entry in entries):
            row.operator("orbit_texture.dismiss", text="Clear").job = ""


def _draw_entry(layout, context, entry: Entry) -> None:
    row = layout.row()
    row.label(text=entry.name, icon=_icon(entry), translate=False)
    if entry.settled:
        row.operator("orbit_texture.dismiss", text="", icon="X", emboss=False).job = entry.job
    else:
        row.operator("orbit_texture.cancel", text="", icon="CANCEL").job = entry.job

    if entry.error:
        wrapped(layout, context, entry.error.message)
        # Who downloads again is asked again.
        _draw_fix(layout.row(), entry, "download_weights" if entry.download else entry.error.fix)
    elif entry.result:
        wrapped(layout, context, status(entry))
        _draw_fix(layout.row(), entry, "object_mode" if entry.waits and context.mode != "OBJECT" else "")
    elif not entry.applied:
        layout.progress(factor=entry.event.fraction, text=status(entry))
        _draw_previews(layout, previews.icons(entry.job))


def _draw_previews(layout, icons: list[int]) -> None:
    if icons:
        grid = layout.grid_flow(row_major=True, columns=PREVIEW_COLUMNS, even_columns=True, align=True)
        for icon in icons:
            grid.template_icon(icon, scale=PREVIEW_SCALE)


def _icon(entry: Entry) -> str:
    if entry.applied:
        return "CHECKMARK"
    return "ERROR" if entry.error else "IMPORT" if entry.download else "MESH_DATA"


def _draw_fix(row, entry: Entry, fix: str) -> None:
    """The operator called like the fix, where there is one; Retry beside it, since that is what follows."""
    if fix in {"download_weights", "install_backend", "object_mode", "restart_worker"}:
        row.operator(f"orbit_texture.{fix}")
    if entry.error and entry.keys:
        row.operator("orbit_texture.retry").job = entry.job
