"""The first panel: reference, settings, Texture Selected."""

import bpy

from .. import weights
from .text import wrapped


class OrbitPanel:
    """Where all our panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Orbit Texture"


class MainPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_main"
    bl_label = "Orbit Texture"

    def draw(self, context):
        settings = context.scene.orbit_texture
        layout = self.layout
        layout.template_ID_preview(settings, "image", open="image.open", rows=3, cols=6)

        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "painter")
        if settings.painter == "orbitpainter":
            column.prop(settings, "quality")
            column.prop(settings, "view_transform")
        column.prop(settings, "texture_size")
        column.prop(settings, "seed")
        column.prop(settings, "view")
        if settings.view == "GIVEN":
            column.prop(settings, "azimuth")
            column.prop(settings, "elevation")
        if settings.painter == "orbitpainter" and not weights.there():
            wrapped(layout, context, "OrbitPainter's weights are not on this computer", icon="INFO")
            layout.operator("orbit_texture.download_weights", icon="IMPORT")
        if settings.painter == "draft":
            wrapped(layout, context, "Draft: projects your image, no AI model", icon="INFO")

        row = layout.row()
        row.scale_y = 1.5
        row.operator("orbit_texture.texture_selected", icon="TEXTURE")
