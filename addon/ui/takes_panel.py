"""The active object's takes: a thumbnail of each, and the buttons for the shown one."""

import json

import bpy

from ..objects import takes
from ..viewport import confidence_overlay
from .base import OrbitPanel
from .pictures import draw_take
from .text import draw_wrapped_text

_THUMBNAIL_COLUMNS = 3
"""Takes side by side."""

_THUMBNAIL_SCALE = 4.0
"""Size of a take's thumbnail, in units of Blender's icons."""


class TakesPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_takes"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Takes"

    @classmethod
    def poll(cls, context):
        return context.object is not None and bool(context.object.orbit_texture.takes)

    def draw(self, context):
        obj, shown = context.object, takes.find_shown_index(context.object)
        # The buttons are above the thumbnails, of which each job adds one.
        _draw_shown(self.layout, context, obj, shown)
        grid = self.layout.grid_flow(
            row_major=True, columns=_THUMBNAIL_COLUMNS, even_columns=True, even_rows=True
        )
        for index, take in enumerate(obj.orbit_texture.takes):
            _draw_thumbnail(grid.column(align=True), take, index, index == shown)
        if shown >= 0:
            _draw_doubts(self.layout, context, obj.orbit_texture.takes[shown])


def _draw_thumbnail(cell, take, index: int, is_shown: bool) -> None:
    draw_take(cell, take, _THUMBNAIL_SCALE)
    cell.operator("orbit_texture.show_take", text=take.name, translate=False, depress=is_shown).index = index


def _draw_shown(layout, context, obj: bpy.types.Object, index: int) -> None:
    """Draws what can be done with the shown take; greyed out if the object shows none."""
    column = layout.column()
    column.enabled = index >= 0
    index = max(index, 0)
    take = obj.orbit_texture.takes[index]
    row = column.row(align=True)
    row.prop(take, "name", text="")
    row.prop(take, "locked", text="", icon="LOCKED" if take.locked else "UNLOCKED")
    row.operator("orbit_texture.compare_takes", text="", icon="ARROW_LEFTRIGHT")
    row.operator("orbit_texture.recall_settings", text="", icon="LOOP_BACK").index = index
    remove_row = row.row(align=True)
    remove_row.enabled = not take.locked
    remove_row.operator("orbit_texture.remove_take", text="", icon="TRASH").index = index
    row = column.row()
    row.enabled = confidence_overlay.overlay_image(obj, "confidence") is not None
    row.prop(context.window_manager, "orbit_texture_overlay", expand=True)
    row = column.row(align=True)
    row.operator("orbit_texture.repaint_region", icon="TPAINT_HLT")
    row.operator("orbit_texture.mark_region", text="", icon="BRUSH_DATA")
    row.operator("orbit_texture.clear_region", text="", icon="X")
    row = column.row(align=True)
    row.operator("orbit_texture.export_textures", icon="EXPORT")
    row.operator("orbit_texture.export_glb")
    row = column.row()
    row.label(text="Mesh untouched", icon="CHECKMARK")
    report = row.operator("orbit_texture.show_report", text="", icon="TEXT")
    report.job, report.index = "", index


def _draw_doubts(layout, context, take) -> None:
    """Draws what is doubtful about a take, and the buttons that mend it."""
    report = json.loads(take.report) if take.report else {}
    if not report.get("doubtful"):
        return
    box = layout.box()
    for doubt in report.get("doubts", ()):
        draw_wrapped_text(box, context, doubt, icon="ERROR")
    column = box.column(align=True)  # beside each other their names would be cut off
    column.operator("orbit_texture.nudge_view", icon="VIEW_PAN")
    column.operator("orbit_texture.add_pins", icon="PINNED")
    column.operator("orbit_texture.correct_mask", icon="BRUSH_DATA")
