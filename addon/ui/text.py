"""Wrapped text and short descriptions for the panels, in the user's language where there is a translation."""

import textwrap

from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.events import State
from ...backend.api.stage_names import name_stage
from ..jobs.entry import JobEntry
from ..jobs.queue import queue

CHARACTERS_PER_PIXEL = 1 / 6.5
"""Average for Blender's interface font at scale 1."""

MAX_NAME = 16
"""Characters of an object's name in a line that says more than that."""

DIALOG_WIDTH = 460
"""Pixels at scale 1: the width of the dialogs that ask before something is installed or downloaded."""


def draw_wrapped_text(layout, context, text: str, icon: str = "NONE", width: int = 0) -> None:
    """Draws a text, wrapped at a width in pixels at scale 1; 0 stands for the panel's width."""
    draw_lines(layout, wrap(context, text, width), icon)


def wrap(context, text: str, width: int = 0) -> list[str]:
    """The lines of a text in the user's language, wrapped at a width in pixels at scale 1; 0 stands for the
    panel's width."""
    width = width or context.region.width / context.preferences.system.ui_scale - 60
    return textwrap.wrap(rpt_(text), max(20, int(width * CHARACTERS_PER_PIXEL)))


def draw_lines(layout, lines: list[str], icon: str = "NONE") -> None:
    """Draws lines of text close together, with an icon before the first."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(lines):
        column.label(
            text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE", translate=False
        )


def describe_status(entry: JobEntry) -> str:
    """The state of a job in a few words: "Painting"."""
    event = entry.event
    if entry.applied:
        return describe_end(entry)
    if entry.error:
        return iface_("Cancelled") if entry.error.code == "cancelled" else iface_("Failed")
    if entry.result:
        return rpt_(entry.obstacle) or iface_("Applying")
    if event.state is State.QUEUED:
        return rpt_(event.message) or (
            iface_("Waiting") if queue.is_connected else iface_("Starting the worker")
        )
    return iface_(name_stage(event.stage) or "Starting")


def describe_end(entry: JobEntry) -> str:
    """What a finished job has done: "textured in 74 s"."""
    if entry.download:
        return iface_("Downloaded")
    if entry.seconds is None:
        return iface_("Textured")
    return rpt_("textured in {}").format(format_duration(entry.seconds))


def describe_time_left(seconds: float) -> str:
    """An estimate, as exact as it can be: "About 2 min left"."""
    if seconds < 60:
        return rpt_("Less than a minute left")
    minutes = round(seconds / 60)
    return (
        rpt_("About {} min left").format(minutes)
        if minutes < 90
        else rpt_("About {} h left").format(round(minutes / 60))
    )


def format_duration(seconds: float) -> str:
    """A duration as 74 s, 3 min 20 s or 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 120:
        return rpt_("{} s").format(seconds)
    if seconds < 7200:
        return rpt_("{} min {} s").format(*divmod(seconds, 60))
    return rpt_("{} h {} min").format(*divmod(seconds // 60, 60))


def shorten_name(name: str) -> str:
    """An object's name, cut to :data:`MAX_NAME` characters."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
