"""The progress of an installation, for the panels and the preferences."""

import time

from bpy.app.translations import pgettext_iface as iface_

from ..setup import install_process
from .text import draw_wrapped_text, format_duration


def draw_setup(layout, context, width: int = 0) -> None:
    """Draws what install.py is doing, or why it failed; nothing if it has succeeded."""
    at_work = install_process.current()
    if at_work is None:
        return
    if at_work.is_running:
        row = layout.row()
        row.label(
            text=f"{iface_(at_work.title)}, {format_duration(time.monotonic() - at_work.started_at)}",
            icon="SORTTIME",
            translate=False,
        )
        row.operator("orbit_texture.stop_setup", text="", icon="CANCEL")
        if at_work.lines:
            draw_wrapped_text(layout, context, at_work.lines[-1].strip(), width=width)
    elif at_work.status:
        draw_wrapped_text(
            layout, context, f"{iface_(at_work.title)}: {at_work.reason}", icon="ERROR", width=width
        )
