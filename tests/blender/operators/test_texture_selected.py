"""Texture Selected: what it takes of a selection, and which reference each object gets."""

from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.reference_check.checks import checks
from bl_ext.user_default.orbit_texture.addon.ui.base import TEXTURE_BUTTON

from tests.blender import make

pytestmark = pytest.mark.worker


@pytest.fixture(autouse=True)
def scene(scripted_worker):
    checks.clear()
    yield
    checks.clear()


def load(path: Path) -> bpy.types.Image:
    path.write_bytes(make.png(60, 40))
    return bpy.data.images.load(str(path))


def references() -> dict[str, str]:
    """The file that each object of the queue is textured from."""
    return {entry.name: entry.reference.name for entry in queue.entries}


@pytest.mark.parametrize("press", ["texture_selected", "texture_scene"])
def test_an_own_reference_comes_before_the_one_for_all(press, tmp_path):
    first, second = make.scripted_cube("First"), make.scripted_cube("Second")
    make.select(second, first)
    bpy.context.scene.orbit_texture.image = load(tmp_path / "all.png")
    first.orbit_texture.reference = load(tmp_path / "own.png")
    getattr(bpy.ops.orbit_texture, press)()
    assert references() == {"First": "own.png", "Second": "all.png"}
    make.poll_until_settled(queue)


def test_the_check_is_about_the_own_reference(tmp_path):
    obj = make.scripted_cube("Cube")
    bpy.context.scene.orbit_texture.image = load(tmp_path / "all.png")
    obj.orbit_texture.reference = own = load(tmp_path / "own.png")
    bpy.ops.orbit_texture.check_reference()
    assert checks.find(obj, bpy.context.scene.orbit_texture).question.image_uid == own.session_uid
    make.poll_until(queue, lambda: not queue.is_checking())


def test_an_own_reference_is_enough(tmp_path):
    first, second = make.scripted_cube("First"), make.scripted_cube("Second")
    make.select(first, second)
    with bpy.context.temp_override(**{TEXTURE_BUTTON: bpy.context.scene}):
        assert not bpy.ops.orbit_texture.texture_selected.poll()
    first.orbit_texture.reference = load(tmp_path / "own.png")
    bpy.ops.orbit_texture.texture_selected()
    assert "There is no reference for 'Second'" in queue.entries[1].error.message
    make.poll_until_settled(queue)
    assert len(first.orbit_texture.takes) == 1


def test_a_lamp_in_the_selection_is_no_failed_job(tmp_path):
    obj = make.scripted_cube("Cube")
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    bpy.context.collection.objects.link(lamp)
    make.select(lamp, obj)
    bpy.context.scene.orbit_texture.image = load(tmp_path / "all.png")
    bpy.ops.orbit_texture.texture_selected()
    assert [entry.name for entry in queue.entries] == ["Cube"]
    make.poll_until_settled(queue)
    assert queue.entries[0].applied
