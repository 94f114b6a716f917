"""Quality presets: our own and the user's."""

from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon import quality_presets
from bl_ext.user_default.orbit_texture.addon.operators.presets import UsePreset
from bl_ext.user_default.orbit_texture.addon.setup import weights
from bl_ext.user_default.orbit_texture.addon.ui.presets_panel import ORBIT_TEXTURE_PT_presets
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidSettings
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender.layout import Context, Layout

pytestmark = pytest.mark.every_blender

NAMES = ["Draft", "Fast", "Balanced", "Quality"]


def use(name: str) -> None:
    """Does what a click on the preset's name does."""
    bpy.ops.orbit_texture.use_preset(name=name)


def tooltip(name: str) -> str:
    return UsePreset.description(bpy.context, type("Properties", (), {"name": name}))


def drawn_presets() -> list[str]:
    """The texts of the popover's buttons that use a preset."""
    layout = Layout()
    ORBIT_TEXTURE_PT_presets.draw(type("Panel", (), {"layout": layout}), Context())
    return [text for name, text, _ in layout.buttons if name == "use_preset"]


@pytest.fixture
def user_folder():
    folder = Path(bpy.utils.user_resource("SCRIPTS", path=f"presets/{quality_presets.FOLDER}", create=True))
    yield folder
    for file in folder.glob("*.py"):
        file.unlink()


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
    use(name)
    assert panel.to_settings() == Settings(painter=painter, quality=quality, seed=3)


def test_a_users_preset_is_stored_in_blenders_folder_used_and_removed(user_folder):
    panel = bpy.context.scene.orbit_texture
    panel.texture_size, panel.refine = "4096", True
    bpy.ops.orbit_texture.preset_add(name="Large Draft")
    assert [file.stem for file in user_folder.iterdir()] == ["Large_Draft"]
    panel.texture_size, panel.refine = "1024", False
    use("Large Draft")
    assert (panel.texture_size, panel.refine) == ("4096", True)
    assert drawn_presets()[4:] == ["Large Draft"]
    bpy.ops.orbit_texture.preset_add(name="Large Draft", remove_name=True)
    assert not list(user_folder.iterdir())


def test_our_presets_can_be_neither_replaced_nor_removed(user_folder):
    for remove in (False, True):
        with pytest.raises(RuntimeError, match="one of the built-in presets"):
            bpy.ops.orbit_texture.preset_add(name="Draft", remove_name=remove)
    use("Draft")


def test_presets_are_listed_in_an_order_of_effort_and_marked_without_their_weights(monkeypatch):
    monkeypatch.setattr(weights, "_installed", set())
    assert drawn_presets() == ["Draft"] + [f"{name} (needs a download)" for name in NAMES[1:]]
    monkeypatch.setattr(weights, "_installed", {"orbitpainter"})
    assert drawn_presets() == NAMES


def test_a_tooltip_says_what_a_preset_takes(monkeypatch):
    monkeypatch.setattr(weights, "_installed", set())
    assert "no graphics card" in tooltip("Draft")
    assert "download" not in tooltip("Draft")
    for name in NAMES[1:]:
        assert "graphics card" in tooltip(name)
        assert "a download of 7" in tooltip(name)
    assert len({tooltip(name) for name in NAMES}) == 4
    monkeypatch.setattr(weights, "_installed", {"orbitpainter"})
    assert "download" not in tooltip("Quality")


@pytest.mark.parametrize(
    "content", ["settings.texture_size = ", 'settings.texture_size = "big"', "a = b = c("]
)
def test_a_preset_that_cannot_be_read_is_an_error_with_a_sentence(user_folder, content):
    (user_folder / "Broken.py").write_text(content, encoding="utf-8")
    with pytest.raises(RuntimeError, match="The quality preset 'Broken' cannot be read"):
        use("Broken")
    assert "cannot be read" in tooltip("Broken")


def test_nothing_of_a_presets_file_is_run(user_folder):
    (user_folder / "Odd.py").write_text(
        'import bpy\nbpy.context.scene.name = "Run"\nsettings = 1\nsettings.texture_size = "1024"\n',
        encoding="utf-8",
    )
    use("Odd")
    assert bpy.context.scene.name != "Run"
    assert bpy.context.scene.orbit_texture.texture_size == "1024"


def test_an_unknown_preset_is_refused():
    with pytest.raises(InvalidSettings, match="There are: Draft, Fast, Balanced, Quality"):
        quality_presets.read_preset("Sketch")
