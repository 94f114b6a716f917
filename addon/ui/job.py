"""One job as the panels draw it: a line with its progress or its end."""

import bpy

from ..jobs.entry import JobEntry
from ..setup import devices
from .text import describe_status, shorten_name

FIXES = {"download_weights", "install_backend", "make_local", "object_mode", "restart_worker"}
"""The fixes of errors that have an operator of the same name."""


def draw_job_line(layout, entry: JobEntry, icon: str = "NONE") -> None:
    """Draws a job's object and state in one line, with the button that cancels or repeats it.

    Args:
        icon: in front of a state that is no progress.
    """
    row = layout.row(align=True)
    text = f"{shorten_name(entry.name)}: {describe_status(entry)}"
    if entry.is_settled or entry.result:
        row.label(text=text, icon=icon, translate=False)
    else:
        row.progress(factor=entry.event.fraction, text=text)
    if not entry.is_settled:
        row.operator("orbit_texture.cancel", text="", icon="CANCEL").job = entry.job
    elif entry.error and entry.keys:
        row.operator("orbit_texture.retry", text="", icon="FILE_REFRESH").job = entry.job


def describe_device(entries: list[JobEntry]) -> str:
    """The device that a running job uses and its memory, "" if none is known."""
    devices_at_work = (entry.event.device for entry in entries if not entry.is_settled)
    device = next(filter(None, devices_at_work), None)
    return devices.describe_memory(device) if device else ""


def has_take(obj: bpy.types.Object | None, entry: JobEntry) -> bool:
    """Whether the take of a finished job is still there: it may have been removed or undone."""
    return obj is not None and any(take.job == entry.job for take in obj.orbit_texture.takes)
