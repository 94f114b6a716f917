"""One job as the panels draw it: its progress, its error, and the button that fixes the error."""

from ..jobs.entry import JobEntry
from ..setup import devices
from .text import describe_status, draw_wrapped_text

FIXES = {"download_weights", "install_backend", "make_local", "object_mode", "restart_worker"}
"""The fixes of errors that have an operator of the same name."""


def draw_job(layout, context, entry: JobEntry) -> None:
    """Draws the progress of a running job or the error of a failed one; nothing if the job is done."""
    if entry.error:
        draw_wrapped_text(layout, context, entry.error.message)
        _draw_fix(layout.row(), entry)
    elif entry.result:
        draw_wrapped_text(layout, context, describe_status(entry))
        if entry.obstacle and context.mode != "OBJECT":
            layout.operator("orbit_texture.object_mode")
    elif not entry.applied:
        row = layout.row(align=True)
        row.progress(factor=entry.event.fraction, text=describe_status(entry))
        row.operator("orbit_texture.cancel", text="", icon="CANCEL").job = entry.job
        if entry.event.device:
            draw_wrapped_text(layout, context, devices.describe_memory(entry.event.device), icon="SYSTEM")


def _draw_fix(row, entry: JobEntry) -> None:
    """Draws the operator with the name of the fix, if there is one, and Retry beside it."""
    # A failed download is repeated through its dialog, which asks again.
    fix = "download_weights" if entry.download else entry.error.fix
    if fix in FIXES:
        button = row.operator(f"orbit_texture.{fix}")
        if entry.download:
            button.model = entry.download
    if entry.keys:
        row.operator("orbit_texture.retry").job = entry.job
