"""The list of an object's further pictures."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from .base import OrbitPanel
from .text import draw_wrapped_text

_ROWS = 3
"""Rows of the list at least."""


class ORBIT_TEXTURE_UL_pictures(bpy.types.UIList):
    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.split(factor=0.1)
        row.label(text=str(index + 2), translate=False)
        if item.image is None:
            row.label(text="No image", icon="ERROR")
            return
        row = row.split(factor=0.62)
        row.label(text=item.image.name, icon_value=layout.icon(item.image), translate=False)
        row.prop(item, "view", text="")


class PicturesPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_pictures"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "More Pictures"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, context):
        count = len(context.scene.orbit_texture.find_owner(context.object).pictures)
        if count:
            self.layout.label(text=str(count), translate=False)

    def draw(self, context):
        layout = self.layout
        owner = context.scene.orbit_texture.find_owner(context.object)
        row = layout.row()
        row.template_list(
            "ORBIT_TEXTURE_UL_pictures", "", owner, "pictures", owner, "active_picture", rows=_ROWS
        )
        column = row.column(align=True)
        column.operator("orbit_texture.add_pictures", text="", icon="ADD")
        column.operator("orbit_texture.remove_picture", text="", icon="REMOVE")
        column.separator()
        column.operator("orbit_texture.move_picture", text="", icon="TRIA_UP").direction = "UP"
        column.operator("orbit_texture.move_picture", text="", icon="TRIA_DOWN").direction = "DOWN"
        layout.operator("orbit_texture.lead_picture", icon="TRIA_UP_BAR")
        if 0 <= owner.active_picture < len(owner.pictures):
            _draw_picture(layout, owner.pictures[owner.active_picture])
        elif not owner.pictures:
            draw_wrapped_text(layout, context, rpt_("Pictures of other sides make the texture true there."))


def _draw_picture(layout, picture) -> None:
    """Draws what is set of the selected picture."""
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.template_ID(picture, "image")
    column.prop(picture, "mask")
    if picture.view == "GIVEN":
        column.prop(picture, "azimuth")
        column.prop(picture, "elevation")
