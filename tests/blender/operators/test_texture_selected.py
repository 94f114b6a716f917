"""Texture Selected: what it takes of a selection, and which reference each object gets."""

from pathlib import Path

import bpy
import numpy as np
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


def test_pins_are_sent_with_the_mesh_they_are_on(tmp_path):
    obj = make.scripted_cube("Cube")
    obj.location, obj.rotation_euler.z = (3, 0, 1), 0.5
    bpy.context.view_layer.update()
    panel = bpy.context.scene.orbit_texture
    panel.image, panel.view = load(tmp_path / "all.png"), "PINS"
    for point, place in (
        ((1, -1, 1), (0.6, 0.7)),
        ((-1, -1, 1), (0.2, 0.8)),
        ((1, -1, -1), (0.6, 0.2)),
        ((1, 1, 1), (0.8, 0.8)),
    ):
        pin = obj.orbit_texture.pins.add()
        pin.point, pin.place = point, place
    bpy.ops.orbit_texture.texture_selected()
    entry = queue.entries[-1]
    assert entry.error is None
    vertices = entry.target.mesh_data().vertices
    for pin in entry.pins:
        assert np.abs(vertices - pin[:3]).sum(axis=1).min() < 1e-5, "a corner of the cube as it is sent"
    np.testing.assert_allclose(entry.pins[0, 3:], (0.6, 0.3), atol=1e-6)
    make.poll_until_settled(queue)
    assert entry.applied
    # The check is about the same pins, and about others after one was moved.
    bpy.ops.orbit_texture.check_reference()
    check = checks.find(obj, panel)
    obj.orbit_texture.pins[0].place = (0.5, 0.7)
    assert checks.find(obj, panel) is not check
    make.poll_until(queue, lambda: not queue.is_checking())
