"""What the panel shows of takes: thumbnails, names, locks, settings and reports, also after saving and
appending."""

import json

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import report, takes
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender


def make_thumbnail(color: tuple) -> np.ndarray:
    """A square of one colour below a black stripe."""
    pixels = np.full((8, 8, 3), color, np.uint8)
    pixels[:2] = 0
    return pixels


def read_thumbnail(take) -> np.ndarray:
    preview = take.material.preview
    return np.array(preview.image_pixels_float[:]).reshape(*tuple(preview.image_size)[::-1], 4)[::-1, :, :3]


def test_a_takes_thumbnail_is_saved_with_the_file(tmp_path):
    obj = make.cube()
    make.apply(obj, new_uvs=False, thumbnail=make_thumbnail((255, 0, 0)))
    make.apply(obj, new_uvs=False, thumbnail=make_thumbnail((0, 0, 255)))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    red, blue = bpy.data.objects["Cube"].orbit_texture.takes
    np.testing.assert_allclose(read_thumbnail(red), make_thumbnail((255, 0, 0)) / 255, atol=0.01)
    np.testing.assert_allclose(read_thumbnail(blue), make_thumbnail((0, 0, 255)) / 255, atol=0.01)


def test_takes_are_kept_when_the_object_is_appended_and_renamed(tmp_path):
    obj = make.cube()
    make.apply(obj, new_uvs=False, thumbnail=make_thumbnail((255, 0, 0)))
    make.apply(obj, new_uvs=False)
    obj.orbit_texture.takes[0].name, obj.orbit_texture.takes[0].locked = "The good one", True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend")) as (source, target):
        target.objects = source.objects
    obj = target.objects[0]
    bpy.context.collection.objects.link(obj)
    obj.name = "Another name"
    make.select(obj)
    assert [(take.name, take.locked) for take in obj.orbit_texture.takes] == [
        ("The good one", True),
        ("Take 2", False),
    ]
    assert takes.find_shown_index(obj) == 1
    np.testing.assert_allclose(
        read_thumbnail(obj.orbit_texture.takes[0]), make_thumbnail((255, 0, 0)) / 255, atol=0.01
    )
    bpy.ops.orbit_texture.next_take()
    assert takes.find_shown_index(obj) == 0
    assert obj.material_slots[0].material.node_tree.nodes["base_color"].image.packed_file


def test_show_next_take_returns_to_the_first_after_the_last():
    obj = make.cube()
    for _ in range(3):
        make.apply(obj, new_uvs=False)
    shown = []
    for _ in range(4):
        bpy.ops.orbit_texture.next_take()
        shown.append(takes.find_shown_index(obj))
    assert shown == [0, 1, 2, 0]


def test_a_locked_take_is_not_removed():
    obj = make.cube()
    make.apply(obj, new_uvs=False)
    obj.orbit_texture.takes[0].locked = True
    with pytest.raises(RuntimeError, match="locked"):
        bpy.ops.orbit_texture.remove_take(index=0)
    assert len(obj.orbit_texture.takes) == 1
    obj.orbit_texture.takes[0].locked = False
    bpy.ops.orbit_texture.remove_take(index=0)
    assert not obj.orbit_texture.takes


def test_recall_settings_restores_a_takes_settings_in_the_panel():
    obj, panel = make.cube(), bpy.context.scene.orbit_texture
    made_with = Settings(texture_size=1024, seed=7, azimuth=30.0, elevation=-10.0, quality="fast")
    make.apply(obj, new_uvs=False, settings=made_with)
    make.apply(obj, new_uvs=False)
    assert panel.to_settings() == Settings()
    bpy.ops.orbit_texture.recall_settings(index=0)
    assert panel.to_settings() == made_with
    bpy.ops.orbit_texture.recall_settings(index=1)
    assert panel.to_settings() == Settings()


@pytest.mark.parametrize(("remove_shading", "light"), [(0.0, "keep"), (0.5, "remove")])
def test_recall_settings_translates_what_earlier_versions_stored(remove_shading, light):
    obj, panel = make.cube(), bpy.context.scene.orbit_texture
    make.apply(obj, new_uvs=False)
    obj.orbit_texture.takes[0].settings = json.dumps({"seed": 3, "remove_shading": remove_shading})
    bpy.ops.orbit_texture.recall_settings(index=0)
    assert panel.to_settings() == Settings(seed=3, light=light)


def test_a_takes_unknown_settings_are_reported():
    obj = make.cube()
    make.apply(obj, new_uvs=False)
    obj.orbit_texture.takes[0].settings = '{"wings": 2}'
    with pytest.raises(RuntimeError, match="no setting called 'wings'"):
        bpy.ops.orbit_texture.recall_settings(index=0)


def test_the_report_of_a_take_lists_stages_view_and_notes(capfd):
    obj = make.cube()
    make.apply(obj, new_uvs=False)
    bpy.ops.orbit_texture.show_report(index=0)
    assert "Baking 1.0" in capfd.readouterr().out
    lines = report.describe_report(
        {
            "coverage": 0.934,
            "view": {"azimuth": 31.2, "elevation": 12.0},
            "seconds": {"paint": 2.0, "bake": 1.5},
            "notes": ["A note."],
        }
    )
    assert lines[0].startswith("The painted views saw 93%")
    assert lines[1:] == [
        "The reference shows azimuth 31°, elevation 12°",
        "4 s: Painting 2.0, Baking 1.5",
        "A note.",
    ]
