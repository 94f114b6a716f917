"""The popover that lists the quality presets."""

import bpy
from bpy.app.translations import pgettext_iface as iface_

from .. import quality_presets

_WIDTH = 13
"""In units of Blender's interface, 20 pixels at scale 1: a preset's name and that it needs a download."""


class ORBIT_TEXTURE_PT_presets(bpy.types.Panel):  # a popover finds its panel by the name of the class
    bl_label = "Quality Presets"
    bl_space_type = "PROPERTIES"
    bl_region_type = "HEADER"
    bl_ui_units_x = _WIDTH

    def draw(self, context):
        column = self.layout.column(align=True)
        for preset in quality_presets.OURS:
            _draw_ours(column, context.scene.orbit_texture, preset)
        if files := quality_presets.list_files():
            column.separator()
        for file in files:
            name = quality_presets.display_name(file)
            row = column.row(align=True)
            row.operator("orbit_texture.use_preset", text=name, translate=False).name = name
            button = row.operator("orbit_texture.preset_add", text="", icon="REMOVE")
            button.name, button.remove_name = name, True
        self.layout.separator()
        row = self.layout.row(align=True)
        row.prop(context.window_manager, "preset_name", text="")
        row.operator(
            "orbit_texture.preset_add", text="", icon="ADD"
        ).name = context.window_manager.preset_name


def _draw_ours(column, settings, preset: quality_presets.QualityPreset) -> None:
    values = preset.values
    text = iface_(preset.name)
    if quality_presets.list_missing_weights(values):
        text = f"{text} ({iface_('needs a download')})"
    is_used = all(str(getattr(settings, name)) == str(value) for name, value in values.items())
    column.operator(
        "orbit_texture.use_preset", text=text, translate=False, icon="CHECKMARK" if is_used else "BLANK1"
    ).name = preset.name
