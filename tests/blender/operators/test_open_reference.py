"""The file browser that chooses a reference."""

from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import recent_references
from bl_ext.user_default.orbit_texture.addon.ui.recent_references import RecentReferences
from bl_ext.user_default.orbit_texture.addon.ui.reference_check import draw_chooser

from tests.blender import make
from tests.blender.layout import Layout

pytestmark = pytest.mark.every_blender


@pytest.fixture
def file(tmp_path):
    (tmp_path / "cat.png").write_bytes(make.png())
    return str(tmp_path / "cat.png")


def test_it_shows_images_as_thumbnails():
    properties = bpy.ops.orbit_texture.open_reference.get_rna_type().properties
    display = properties["display_type"]
    assert display.default == "THUMBNAIL"
    # The browser reads the number.
    assert [item.value for item in display.enum_items] == [0, 1, 2, 3]
    assert properties["filter_image"].default
    assert properties["filter_folder"].default


def test_the_chooser_opens_it():
    opened = []

    class Chooser(Layout):
        def template_ID(self, _owner, _name, open="", **_):
            opened.append(open)

        def row(self, **_):
            return self

    make.cube()
    draw_chooser(Chooser(), bpy.context)
    assert opened == ["orbit_texture.open_reference"]


def test_the_image_becomes_the_reference_for_all_or_the_objects_own(file, tmp_path):
    obj = make.cube()
    panel = bpy.context.scene.orbit_texture
    bpy.ops.orbit_texture.open_reference(filepath=file)
    assert panel.image.name == "cat.png"
    assert obj.orbit_texture.reference is None
    obj.orbit_texture.reference = panel.image
    (tmp_path / "dog.png").write_bytes(make.png())
    bpy.ops.orbit_texture.open_reference(filepath=str(tmp_path / "dog.png"))
    assert (panel.image.name, obj.orbit_texture.reference.name) == ("cat.png", "dog.png")
    bpy.ops.orbit_texture.open_reference(filepath=file)
    assert obj.orbit_texture.reference == panel.image, "the image is not loaded twice"


def test_a_missing_file_is_an_error_with_a_sentence(tmp_path):
    with pytest.raises(RuntimeError, match="no reference image at"):
        bpy.ops.orbit_texture.open_reference(filepath=str(tmp_path / "nothing.png"))


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path / "home"))
    recent_references.refresh()
    yield tmp_path / "home"
    monkeypatch.undo()
    recent_references.refresh()


def offered() -> list[str]:
    layout = Layout()
    RecentReferences.draw(type("Menu", (), {"layout": layout}), bpy.context)
    return [text for _, text, _ in layout.buttons] or layout.labels


def test_references_that_were_chosen_last_are_offered_in_any_file(own_home, tmp_path):
    assert offered() == ["No reference was chosen yet"]
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(make.png())
        bpy.ops.orbit_texture.open_reference(filepath=str(tmp_path / f"{number}.png"))
    obj = make.cube()
    bpy.ops.orbit_texture.set_reference(filepath=str(tmp_path / "5.png"), object_name=obj.name)
    expected = ["5.png", *(f"{number}.png" for number in (11, 10, 9, 8, 7, 6, 4, 3, 2))]
    assert offered() == expected
    bpy.ops.wm.read_factory_settings(use_empty=True)
    recent_references.refresh()
    assert [Path(file).name for file in recent_references.list_recent()] == expected


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '"x"'])
def test_a_damaged_list_is_an_empty_one(own_home, content):
    own_home.mkdir()
    (own_home / "recent_references.json").write_text(content)
    recent_references.refresh()
    assert recent_references.list_recent() == []
