"""Use Quality Preset, and Add Quality Preset."""

import bpy
from bl_operators.presets import AddPresetBase
from bpy.props import StringProperty

from ...backend.api.errors import InvalidSettings, OrbitError
from ...backend.api.settings import Settings
from .. import quality_presets


class UsePreset(bpy.types.Operator):
    bl_idname = "orbit_texture.use_preset"
    bl_label = "Use Quality Preset"
    bl_description = "Set the painter, its quality, the texture size and refinement"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    name: StringProperty(name="Preset", description="Name of the preset")

    @classmethod
    def description(cls, context, properties):
        try:
            return quality_presets.describe_preset(properties.name)
        except OrbitError as error:
            return error.message

    def execute(self, context):
        try:
            values = quality_presets.read_preset(self.name)
            Settings.from_dict(values)
        except InvalidSettings as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        context.scene.orbit_texture.change(values)
        return {"FINISHED"}


class AddPreset(AddPresetBase, bpy.types.Operator):
    bl_idname = "orbit_texture.preset_add"
    bl_label = "Add Quality Preset"
    bl_description = (
        "Save the painter, its quality, the texture size and refinement as a preset, or remove a preset"
    )

    preset_menu = "ORBIT_TEXTURE_PT_presets"
    preset_subdir = quality_presets.FOLDER
    preset_defines = ("settings = bpy.context.scene.orbit_texture",)
    preset_values = tuple(f"settings.{name}" for name in quality_presets.SETTINGS)

    def execute(self, context):
        if any(self.name.strip() == preset.name for preset in quality_presets.OURS):
            self.report({"ERROR"}, f"'{self.name}' is one of the built-in presets. Choose another name.")
            return {"CANCELLED"}
        return super().execute(context)
