"""What happens in the window when a job ends: a line in the status bar and, if the user wants that, viewports
in Solid that show the texture."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..jobs import queue_timer
from ..jobs.entry import JobEntry
from ..setup.devices import ADDON_ID
from ..viewport import solid_texture
from .text import describe_end


def tell_end(entry: JobEntry) -> None:
    """Says how a job has ended: "Spot textured in 74 s"."""
    if entry.applied:
        _announce(f"{entry.name} {describe_end(entry)}", "INFO")
        page = bpy.context.preferences.addons.get(ADDON_ID)
        if entry.keys and page and page.preferences.show_texture:
            solid_texture.show_everywhere()
    elif entry.error.code != "cancelled":
        _announce(rpt_("{} failed: {}").format(entry.name, entry.error.message), "WARNING")


def _announce(text: str, kind: str) -> None:
    window = next(iter(bpy.context.window_manager.windows), None)
    if window:
        with bpy.context.temp_override(window=window):
            bpy.ops.orbit_texture.announce("INVOKE_DEFAULT", text=text, kind=kind)


def register() -> None:
    queue_timer.on_end.append(tell_end)


def unregister() -> None:
    queue_timer.on_end.remove(tell_end)
