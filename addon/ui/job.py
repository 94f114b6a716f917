"""One job as the panels draw it: what it does, what is wrong, and the button that mends it."""

from ..jobs.entry import Entry
from ..setup import devices
from .text import describe_status, draw_wrapped_text

FIXES = {"download_weights", "install_backend", "make_local", "object_mode", "restart_worker"}
"""The fixes of errors that have an operator of the same name."""


def draw_job(layout, context, entry: Entry) -> None:
    """Progress of a job at work, the error of one that failed; nothing of one that is done."""
    if entry.error:
        draw_wrapped_text(layout, context, entry.error.message)
        _draw_fix(layout.row(), entry)
    elif entry.result:
        draw_wrapped_text(layout, context, describe_status(entry))
        if entry.waits and context.mode != "OBJECT":
            layout.operator("orbit_texture.object_mode")
    elif not entry.applied:
        row = layout.row(align=True)
        row.progress(factor=entry.event.fraction, text=describe_status(entry))
        row.operator("orbit_texture.cancel", text="", icon="CANCEL").job = entry.job
        if entry.event.device:
            draw_wrapped_text(layout, context, devices.fullness(entry.event.device), icon="SYSTEM")


def _draw_fix(row, entry: Entry) -> None:
    """The operator called like the fix, where there is one; Retry beside it, since that is what follows."""
    # Who downloads again is asked again.
    fix = "download_weights" if entry.download else entry.error.fix
    if fix in FIXES:
        button = row.operator(f"orbit_texture.{fix}")
        if entry.download:
            button.model = entry.download
    if entry.keys:
        row.operator("orbit_texture.retry").job = entry.job
