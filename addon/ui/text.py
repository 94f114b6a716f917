"""Words and wrapped text for the panels, in the user's language where there is a translation."""

import textwrap

from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.events import State
from ..jobs.entry import JobEntry

CHARACTERS_PER_PIXEL = 1 / 6.5
"""Of Blender's interface font at scale 1, on average."""


def wrapped(layout, context, text: str, icon: str = "NONE", width: int = 0) -> None:
    """Draws a sentence over as many lines as ``width``, in pixels at scale 1, needs; 0 for the panel's."""
    width = width or context.region.width / context.preferences.system.ui_scale - 60
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(rpt_(text), max(20, int(width * CHARACTERS_PER_PIXEL)))):
        column.label(
            text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE", translate=False
        )


def status(entry: JobEntry) -> str:
    """What an entry is doing, in a few words: "Paint 42 %, 0:35 left"."""
    event = entry.event
    if entry.applied:
        return iface_("Done")
    if entry.error:
        return iface_("Cancelled") if entry.error.code == "cancelled" else iface_("Failed")
    if entry.result:
        return rpt_(entry.obstacle) or iface_("Applying")
    if event.state is State.QUEUED:
        return rpt_(event.message) or iface_("Waiting")
    left = ", " + rpt_("{} left").format(clock(event.seconds_left)) if event.seconds_left is not None else ""
    return f"{iface_(event.stage.title() or 'Starting')} {event.fraction:.0%}{left}"


def clock(seconds: float) -> str:
    """A time span as 0:35 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
