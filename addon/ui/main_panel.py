"""The main panel: the reference and what was found in it, the quality, Texture Selected, and the progress.
The other panels are subpanels of it."""

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ..jobs import previews
from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from .base import OrbitPanel
from .job import draw_job
from .preflight_panel import draw_estimate, draw_urgent
from .reference_check import draw_reference
from .setup import draw_setup

_PREVIEW_COLUMNS = 4
"""Previews of a running job side by side."""

_PREVIEW_SCALE = 2.8
"""Size of a preview, in units of Blender's icons."""


class MainPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_main"
    bl_label = "Orbit Texture"

    def draw(self, context):
        settings = context.scene.orbit_texture
        layout = self.layout
        draw_reference(layout, context)
        layout.popover(
            "ORBIT_TEXTURE_PT_presets", text=_describe_settings(settings), icon="PRESET", translate=False
        )
        draw_urgent(layout, context)
        draw_setup(layout, context)
        row = layout.row()
        row.scale_y = 1.5
        row.operator("orbit_texture.texture_selected", icon="TEXTURE")
        if entry := _current_entry(context.object):
            draw_job(layout, context, entry)
            _draw_previews(layout, previews.icon_ids(entry.job))
        else:
            draw_estimate(layout, context)


def _draw_previews(layout, icons: list[int]) -> None:
    """Draws the previews of what a job is painting, if there are any."""
    if icons:
        grid = layout.grid_flow(row_major=True, columns=_PREVIEW_COLUMNS, even_columns=True, align=True)
        for icon in icons:
            grid.template_icon(icon, scale=_PREVIEW_SCALE)


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


def _current_entry(obj: bpy.types.Object | None) -> JobEntry | None:
    """The job to show: the running one, else that of the active object if it is waiting or failed."""

    def is_own(entry: JobEntry) -> bool:
        return (
            obj is not None
            and not entry.applied
            and any(key.session_uid == obj.session_uid for key in entry.keys)
        )

    at_work = (entry for entry in queue.entries if not entry.is_settled and not entry.is_queued)
    return next(at_work, None) or next(filter(is_own, reversed(queue.entries)), None)
