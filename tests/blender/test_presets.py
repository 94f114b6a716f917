"""Quality presets: our own and the user's."""

from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon import quality_presets
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

pytestmark = pytest.mark.every_blender


def apply_preset(name: str) -> None:
    """Does what a click on the preset's name does."""
    file = bpy.utils.preset_find(name, quality_presets.FOLDER, display_name=True)
    bpy.ops.script.execute_preset(filepath=file, menu_idname="ORBIT_TEXTURE_PT_presets")


@pytest.mark.parametrize(
    ("name", "painter", "quality"),
    [
        ("Draft", "draft", "quality"),
        ("Fast", "orbitpainter", "fast"),
        ("Balanced", "orbitpainter", "balanced"),
        ("Quality", "orbitpainter", "quality"),
    ],
)
def test_our_presets_set_the_painter_and_its_quality(name, painter, quality):
    panel = bpy.context.scene.orbit_texture
    panel.painter, panel.quality, panel.texture_size, panel.seed = "orbitpainter", "balanced", "8192", 3
    apply_preset(name)
    assert panel.to_settings() == Settings(painter=painter, quality=quality, seed=3)


def test_a_users_preset_is_stored_in_blenders_folder_applied_and_removed():
    panel = bpy.context.scene.orbit_texture
    panel.texture_size = "4096"
    bpy.ops.orbit_texture.preset_add(name="Large Draft")
    folder = Path(bpy.utils.user_resource("SCRIPTS", path=f"presets/{quality_presets.FOLDER}"))
    assert [file.stem for file in folder.iterdir()] == ["Large_Draft"]
    panel.texture_size = "1024"
    apply_preset("Large Draft")
    assert panel.texture_size == "4096"
    bpy.ops.orbit_texture.preset_add(name="Large Draft", remove_name=True)
    assert not list(folder.iterdir())


def test_our_presets_cannot_be_removed():
    bpy.ops.orbit_texture.preset_add(name="Draft", remove_name=True)
    apply_preset("Draft")
