"""One job as the panels draw it: what it does, what is wrong, and the button that mends it."""

from ..jobs.entry import JobEntry
from ..setup import devices
from .text import status, wrapped

FIXES = {"download_weights", "install_backend", "make_local", "object_mode", "restart_worker"}
"""The fixes of errors that have an operator of the same name."""


def draw_job(layout, context, entry: JobEntry) -> None:
    """Progress of a job at work, the error of one that failed; nothing of one that is done."""
    if entry.error:
        wrapped(layout, context, entry.error.message)
        _draw_fix(layout.row(), entry)
    elif entry.result:
        wrapped(layout, context, status(entry))
        if entry.obstacle and context.mode != "OBJECT":
            layout.operator("orbit_texture.object_mode")
    elif not entry.applied:
        row = layout.row(align=True)
        row.progress(factor=entry.event.fraction, text=status(entry))
        row.operator("orbit_texture.cancel", text="", icon="CANCEL").job = entry.job
        if entry.event.device:
            wrapped(layout, context, devices.describe_memory(entry.event.device), icon="SYSTEM")


def _draw_fix(row, entry: JobEntry) -> None:
    """The operator called like the fix, where there is one; Retry beside it, since that is what follows."""
    # Who downloads again is asked again.
    fix = "download_weights" if entry.download else entry.error.fix
    if fix in FIXES:
        button = row.operator(f"orbit_texture.{fix}")
        if entry.download:
            button.model = entry.download
    if entry.keys:
        row.operator("orbit_texture.retry").job = entry.job
