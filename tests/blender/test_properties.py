"""The panel offers what :class:`Settings` allows, and everything has a description."""

from dataclasses import fields

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon import operators, preferences, properties, ui
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

pytestmark = pytest.mark.every_blender


def test_the_panels_defaults_are_those_of_the_settings():
    assert bpy.context.scene.orbit_texture.to_settings() == Settings()


# The panel shows what is doubtful before anything is textured; without a window, on_doubt decides.
IN_PANEL = [setting for setting in fields(Settings) if setting.name != "on_doubt"]


@pytest.mark.parametrize("setting", IN_PANEL, ids=lambda setting: setting.name)
def test_the_panel_has_every_setting_with_its_range_and_description(setting):
    # The device depends on the computer, not on the file.
    owner = preferences.Preferences if setting.name == "device" else properties.SceneProperties
    prop = owner.bl_rna.properties[setting.name]
    assert prop.description
    if setting.metadata["choices"]:
        assert [item.identifier for item in prop.enum_items] == [
            str(value) for value in setting.metadata["choices"]
        ]
    elif isinstance(setting.default, bool):
        assert (prop.type, prop.default) == ("BOOLEAN", setting.default)
    elif isinstance(setting.default, str):
        assert (prop.type, prop.default) == ("STRING", setting.default)
    else:
        assert (prop.hard_min, prop.hard_max) == (setting.metadata["minimum"], setting.metadata["maximum"])


def test_a_given_view_is_part_of_the_settings():
    panel = bpy.context.scene.orbit_texture
    panel.view, panel.azimuth, panel.elevation = "GIVEN", 30, 10
    assert (panel.to_settings().azimuth, panel.to_settings().elevation) == (30, 10)


def test_every_operator_and_property_has_a_description():
    assert all(cls.bl_description for cls in operators.OPERATORS)
    for cls in (properties.SceneProperties,):
        assert all(
            prop.description for prop in cls.bl_rna.properties if prop.identifier not in {"rna_type", "name"}
        )


def test_disabling_the_extension_leaves_nothing_behind():
    import addon_utils

    name = "bl_ext.user_default.orbit_texture"
    handlers = len(bpy.app.handlers.load_post)
    addon_utils.disable(name)
    assert not hasattr(bpy.types.Scene, "orbit_texture")
    assert not hasattr(bpy.types.Object, "orbit_texture")
    assert len(bpy.app.handlers.load_post) == handlers - 2
    assert not any(hasattr(bpy.types, cls.__name__) for cls in ui.PANELS)
    addon_utils.enable(name)
    assert hasattr(bpy.types.Scene, "orbit_texture")
