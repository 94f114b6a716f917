"""An installation at work, as the panels and the preferences show it."""

import time

from bpy.app.translations import pgettext_iface as iface_

from ..setup import install_process
from .text import clock, wrapped


def draw_setup(layout, context, width: int = 0) -> None:
    """What install.py is doing, or why it failed; nothing if it has ended well."""
    at_work = install_process.current()
    if at_work is None:
        return
    if at_work.is_running:
        row = layout.row()
        row.label(
            text=f"{iface_(at_work.title)}, {clock(time.monotonic() - at_work.started_at)}",
            icon="SORTTIME",
            translate=False,
        )
        row.operator("orbit_texture.stop_setup", text="", icon="CANCEL")
        if at_work.lines:
            wrapped(layout, context, at_work.lines[-1].strip(), width=width)
    elif at_work.status:
        wrapped(layout, context, f"{iface_(at_work.title)}: {at_work.reason}", icon="ERROR", width=width)
