"""The main panel: the reference and what was found in it, the quality, Texture Selected, and the progress.
The other panels are subpanels of it.

What can be clicked stays where it is while a job starts, paints and ends: the panel has the same height in
every state.
"""

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ..checks import preflight
from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from ..objects import mesh_io
from .base import OrbitPanel, draw_texture_button
from .job import draw_job_line, has_take
from .messages import draw_first_message, list_messages
from .pictures import draw_pictures
from .reference_check import draw_check_line, draw_chooser, draw_reference_buttons
from .text import describe_status, shorten_name


class MainPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_main"
    bl_label = "Orbit Texture"

    def draw(self, context):
        layout, entry = self.layout, find_entry(context.object)
        draw_chooser(layout, context)
        draw_pictures(layout, context, entry)
        draw_reference_buttons(layout, context)
        draw_check_line(layout, context)
        layout.popover(
            "ORBIT_TEXTURE_PT_presets",
            text=_describe_settings(context.scene.orbit_texture),
            icon="PRESET",
            translate=False,
        )
        row = layout.row()
        row.scale_y = 1.5
        draw_texture_button(row, context)
        _draw_status(layout, context, entry)
        draw_first_message(layout, context, list_messages(context, entry))


def find_entry(obj: bpy.types.Object | None) -> JobEntry | None:
    """The job to show: the running one, else the last one of the active object, else the next that waits."""

    def is_own(entry: JobEntry) -> bool:
        return obj is not None and any(key.session_uid == obj.session_uid for key in entry.keys)

    unsettled = [entry for entry in queue.entries if not entry.is_settled]
    at_work = (entry for entry in unsettled if not entry.is_queued)
    own = filter(is_own, reversed(queue.entries))
    return next(at_work, None) or next(own, None) or next(iter(unsettled), None)


def _draw_status(layout, context, entry: JobEntry | None) -> None:
    """Draws one line: the job at work, how the last one of the object ended, or what one will take."""
    row = layout.row(align=True)
    if entry is None or (entry.applied and not entry.download and not has_take(context.object, entry)):
        row.label(text=_describe_estimate(context), icon="TIME", translate=False)
    elif not entry.applied or entry.download:
        draw_job_line(row, entry, "INFO" if entry.result else "ERROR")
    else:
        row.label(
            text=f"{shorten_name(entry.name)}: {describe_status(entry)}", icon="CHECKMARK", translate=False
        )


def _describe_estimate(context) -> str:
    """The estimated time and memory of a job for the active object; "" if unknown."""
    obj = context.object
    if obj is None or obj.type != "MESH":
        return ""
    settings = context.scene.orbit_texture.to_settings()
    return preflight.describe_cost(mesh_io.triangle_count(obj.data), settings)


def _describe_settings(settings) -> str:
    """The current settings in a few words, whether from a preset or not: "OrbitPainter Fast, 2k"."""

    def choice_name(name: str) -> str:
        return iface_(settings.bl_rna.properties[name].enum_items[getattr(settings, name)].name)

    painter = {
        "orbitpainter": f"{choice_name('painter')} {choice_name('quality')}",
        "draft": iface_("Draft, no AI model"),
    }.get(settings.painter, choice_name("painter"))
    refined = [iface_("refined")] if settings.refine and settings.painter != "trellis2" else []
    return ", ".join([painter, choice_name("texture_size"), *refined])
