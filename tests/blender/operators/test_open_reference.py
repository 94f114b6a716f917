"""The file browser that chooses a reference."""

import bpy
import pytest
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
