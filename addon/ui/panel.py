"""The first panel: the reference, the quality, Texture Selected, and how far it is. Everything else is folded
away below."""

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ..jobs import previews
from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from .base import OrbitPanel
from .job import draw_job
from .preflight_panel import draw_estimate, draw_urgent
from .setup import draw_setup

_COLUMNS, _SCALE = 4, 2.8
"""Of the small pictures of a job at work."""


class MainPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_main"
    bl_label = "Orbit Texture"

    def draw(self, context):
        settings = context.scene.orbit_texture
        layout = self.layout
        layout.template_ID_preview(settings, "image", open="image.open", rows=3, cols=6)
        layout.popover("ORBIT_TEXTURE_PT_presets", text=_quality(settings), icon="PRESET", translate=False)
        draw_urgent(layout, context)
        draw_setup(layout, context)
        row = layout.row()
        row.scale_y = 1.5
        row.operator("orbit_texture.texture_selected", icon="TEXTURE")
        if entry := _current(context.object):
            draw_job(layout, context, entry)
            _draw_pictures(layout, previews.icon_ids(entry.job))
        else:
            draw_estimate(layout, context)


def _draw_pictures(layout, icons: list[int]) -> None:
    """What a job is painting, if it has shown anything."""
    if icons:
        grid = layout.grid_flow(row_major=True, columns=_COLUMNS, even_columns=True, align=True)
        for icon in icons:
            grid.template_icon(icon, scale=_SCALE)


def _quality(settings) -> str:
    """What is set, in a few words, whether a preset set it or not: "OrbitPainter Fast, 2k"."""

    def shown(name: str) -> str:
        return iface_(settings.bl_rna.properties[name].enum_items[getattr(settings, name)].name)

    who = {
        "orbitpainter": f"{shown('painter')} {shown('quality')}",
        "draft": iface_("Draft, no AI model"),
    }.get(settings.painter, shown("painter"))
    refined = [iface_("refined")] if settings.refine and settings.painter != "trellis2" else []
    return ", ".join([who, shown("texture_size"), *refined])


def _current(obj: bpy.types.Object | None) -> JobEntry | None:
    """The job to watch: the one at work; else the active object's own, if it waits or failed."""

    def is_own(entry: JobEntry) -> bool:
        return (
            obj is not None
            and not entry.applied
            and any(key.session_uid == obj.session_uid for key in entry.keys)
        )

    at_work = (entry for entry in queue.entries if not entry.is_settled and not entry.is_queued)
    return next(at_work, None) or next(filter(is_own, reversed(queue.entries)), None)
