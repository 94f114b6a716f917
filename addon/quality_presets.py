"""Quality presets of the panel: four of our own in the folder presets/, and the user's in Blender's own
folder."""

from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

FOLDER = "orbit_texture"
_PATH = str(Path(__file__).parent)


class ORBIT_TEXTURE_PT_presets(
    PresetPanel, bpy.types.Panel
):  # a popover finds its panel by the name of the class
    bl_label = "Quality Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "orbit_texture.preset_add"


class AddPreset(AddPresetBase, bpy.types.Operator):
    bl_idname = "orbit_texture.preset_add"
    bl_label = "Add Quality Preset"
    bl_description = (
        "Save the painter, its quality, the texture size and refinement as a preset, or remove a preset"
    )

    preset_menu = "ORBIT_TEXTURE_PT_presets"
    preset_subdir = FOLDER
    preset_defines = ("settings = bpy.context.scene.orbit_texture",)
    preset_values = (
        "settings.painter",
        "settings.quality",
        "settings.view_transform",
        "settings.texture_size",
        "settings.refine",
    )


def register() -> None:
    bpy.utils.register_preset_path(_PATH)
    bpy.utils.register_class(ORBIT_TEXTURE_PT_presets)
    bpy.utils.register_class(AddPreset)


def unregister() -> None:
    bpy.utils.unregister_class(AddPreset)
    bpy.utils.unregister_class(ORBIT_TEXTURE_PT_presets)
    bpy.utils.unregister_preset_path(_PATH)
