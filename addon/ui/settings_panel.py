"""The settings behind the presets, and the view of the object that the reference shows."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.weights import BIREFNET
from ..setup import weights
from ..viewport.pins import MAX_PINS, MIN_PINS
from .base import OrbitPanel
from .text import shorten_name


class SettingsPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_settings"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Settings"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        settings = context.scene.orbit_texture
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "painter")
        if settings.painter == "orbitpainter":
            column.prop(settings, "quality")
            column.prop(settings, "view_transform")
        column.prop(settings, "texture_size")
        column.prop(settings, "seed")
        column.prop(settings, "white_balance")
        if settings.painter == "draft":
            column.prop(settings, "light")
        if settings.painter != "trellis2":
            column.prop(settings, "start_from")
            if settings.start_from == "present":
                column.prop(settings, "present_weight", slider=True)
        if not weights.is_installed(BIREFNET):
            column.operator(
                "orbit_texture.download_weights", text="Better Object Masks", icon="IMPORT"
            ).model = BIREFNET.name
        column.separator()
        _draw_refinement(column, settings)
        column.separator()
        _draw_view(column, context, settings)
        obj = context.object
        row = self.layout.row()
        row.enabled = obj is not None and bool(obj.orbit_texture.last)
        row.operator(
            "orbit_texture.recall_settings",
            text=rpt_("Last Settings for {}").format(shorten_name(obj.name)) if obj else "",
            translate=False,
            icon="LOOP_BACK",
        ).index = -1


def _draw_view(column, context, settings) -> None:
    column.prop(settings, "view")
    if settings.view == "GIVEN":
        column.prop(settings, "azimuth")
        column.prop(settings, "elevation")
    elif settings.view == "PINS":
        row = column.row(align=True)
        row.operator("orbit_texture.add_pins", icon="PINNED")
        row.operator("orbit_texture.clear_pins", text="", icon="X")
        count = len(context.object.orbit_texture.pins) if context.object else 0
        column.label(text=rpt_("{} of {} to {} pins").format(count, MIN_PINS, MAX_PINS), translate=False)
    column.operator("orbit_texture.nudge_view", icon="VIEW_PAN")


def _draw_refinement(column, settings) -> None:
    is_painter = settings.painter == "trellis2"
    if not is_painter:
        column.prop(settings, "refine")
    if is_painter or settings.refine:
        column.prop(settings, "refine_resolution")
        column.prop(settings, "refine_steps")
    if settings.refine and not is_painter:
        column.prop(settings, "refine_strength", slider=True)
        column.prop(settings, "refine_views")
