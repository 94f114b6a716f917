"""Quality presets of the panel: four of our own in the folder presets/, and the user's in Blender's own
folder."""

import ast
from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

from ..backend.api.errors import InvalidSettings

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


def read_preset(name: str) -> dict:
    """The settings in a preset, ours or the user's, as :class:`Settings` takes them.

    Raises:
        InvalidSettings: there is no such preset, or its file cannot be read.
    """
    file = bpy.utils.preset_find(name, FOLDER, display_name=True)
    if not file:
        names = ", ".join(map(bpy.path.display_name_from_filepath, list_presets()))
        raise InvalidSettings(f"There is no quality preset called '{name}'. There are: {names}.")
    try:
        lines = ast.parse(Path(file).read_text(encoding="utf-8")).body
        values = {
            line.targets[0].attr: ast.literal_eval(line.value)
            for line in lines
            if isinstance(line, ast.Assign) and _is_setting(line.targets[0])
        }
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidSettings(f"The quality preset '{name}' cannot be read: {error}") from error
    numbers = ("texture_size",)
    return values | {key: int(values[key]) for key in numbers if key in values}


def list_presets() -> list[str]:
    """The files of all presets, by name, ours first."""
    folders = [folder for folder in reversed(bpy.utils.preset_paths(FOLDER)) if Path(folder).is_dir()]
    return [str(file) for folder in folders for file in sorted(Path(folder).glob("*.py"))]


def _is_setting(target: ast.expr) -> bool:
    return (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "settings"
    )


def register() -> None:
    bpy.utils.register_preset_path(_PATH)
    bpy.utils.register_class(ORBIT_TEXTURE_PT_presets)
    bpy.utils.register_class(AddPreset)


def unregister() -> None:
    bpy.utils.unregister_class(AddPreset)
    bpy.utils.unregister_class(ORBIT_TEXTURE_PT_presets)
    bpy.utils.unregister_preset_path(_PATH)
