"""The active object's takes: a thumbnail of each, and the buttons for the shown one."""

import json

import bpy

from ..objects import material, takes
from ..viewport import confidence_overlay
from .base import OrbitPanel

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
        grid = self.layout.grid_flow(
            row_major=True, columns=_THUMBNAIL_COLUMNS, even_columns=True, even_rows=True
        )
        for index, take in enumerate(obj.orbit_texture.takes):
            _draw_thumbnail(grid.column(align=True), take, index, index == shown)
        if shown >= 0:
            _draw_shown(self.layout, context, obj, shown)


def _draw_thumbnail(cell, take, index: int, is_shown: bool) -> None:
    if take.material and take.material.preview:
        # Not the material's icon from the layout: Blender would render the material for that and block.
        cell.template_icon(take.material.preview.icon_id, scale=_THUMBNAIL_SCALE)
    elif image := material.find_image(take.material, "base_color"):
        cell.template_icon(cell.icon(image), scale=_THUMBNAIL_SCALE)
    cell.operator("orbit_texture.show_take", text=take.name, translate=False, depress=is_shown).index = index


def _draw_shown(layout, context, obj: bpy.types.Object, index: int) -> None:
    take = obj.orbit_texture.takes[index]
    row = layout.row(align=True)
    row.prop(take, "name", text="")
    row.prop(take, "locked", text="", icon="LOCKED" if take.locked else "UNLOCKED")
    row.operator("orbit_texture.compare_takes", text="", icon="ARROW_LEFTRIGHT")
    row.operator("orbit_texture.recall_settings", text="", icon="LOOP_BACK").index = index
    remove_row = row.row(align=True)
    remove_row.enabled = not take.locked
    remove_row.operator("orbit_texture.remove_take", text="", icon="TRASH").index = index
    if confidence_overlay.overlay_image(obj, "confidence"):
        layout.row().prop(context.window_manager, "orbit_texture_overlay", expand=True)
    row = layout.row(align=True)
    row.operator("orbit_texture.repaint_region", icon="TPAINT_HLT")
    row.operator("orbit_texture.mark_region", text="", icon="BRUSH_DATA")
    if obj.orbit_texture.region:
        row.operator("orbit_texture.clear_region", text="", icon="X")
    row = layout.row(align=True)
    row.operator("orbit_texture.export_textures", icon="EXPORT")
    row.operator("orbit_texture.export_glb")
    if take.report and json.loads(take.report).get("doubtful"):
        layout.label(text="The view is doubtful, see the report", icon="ERROR")
    row = layout.row()
    row.label(text="Mesh untouched", icon="CHECKMARK")
    report = row.operator("orbit_texture.show_report", text="", icon="TEXT")
    report.job, report.index = "", index
