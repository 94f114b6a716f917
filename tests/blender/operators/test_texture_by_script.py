"""Texture Selected called by a script: what is given holds for this call only, and a call can wait."""

import json
import re
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.ui.base import TEXTURE_BUTTON

from tests.blender import make

pytestmark = [pytest.mark.worker, pytest.mark.every_blender]

ROOT = Path(__file__).resolve().parents[3]


def texture_selected(**given) -> set:
    return bpy.ops.orbit_texture.texture_selected(**given)


def panel_values() -> dict:
    panel = bpy.context.scene.orbit_texture
    return {prop.identifier: getattr(panel, prop.identifier) for prop in panel.bl_rna.properties}


@pytest.fixture
def image_file(tmp_path) -> str:
    (tmp_path / "given.png").write_bytes(make.png(60, 40))
    return str(tmp_path / "given.png")


def test_a_call_that_waits_returns_with_the_take_on(scripted_worker, image_file):
    obj = make.scripted_cube("Waits")
    assert texture_selected(image=image_file, wait=True) == {"FINISHED"}
    assert len(obj.orbit_texture.takes) == 1
    assert not queue.busy


def test_given_values_hold_for_one_call_and_change_nothing_of_the_scene(scripted_worker, image_file):
    obj = make.scripted_cube("Once")
    before, images = panel_values(), set(bpy.data.images)
    texture_selected(image=image_file, size=1024, seed=7, preset="Fast", painter="draft", wait=True)
    settings = queue_settings(obj)
    assert (settings["texture_size"], settings["seed"]) == (1024, 7)
    assert (settings["quality"], settings["painter"]) == ("fast", "draft")
    assert panel_values() == before
    assert obj.orbit_texture.reference is None
    assert not [image for image in set(bpy.data.images) - images if image.filepath.endswith("given.png")]
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(image_file)
    texture_selected(wait=True)
    assert queue_settings(obj)["seed"] == 0


def queue_settings(obj: bpy.types.Object) -> dict:
    """The settings of the object's newest take."""
    return json.loads(obj.orbit_texture.takes[-1].settings)


def test_the_given_image_comes_before_the_references(scripted_worker, image_file, tmp_path):
    obj = make.scripted_cube("Given")
    (tmp_path / "own.png").write_bytes(make.png(30, 40))
    obj.orbit_texture.reference = own = bpy.data.images.load(str(tmp_path / "own.png"))
    texture_selected(image=image_file)
    assert queue.entries[-1].reference == Path(image_file)
    assert obj.orbit_texture.reference == own
    make.poll_until_settled(queue)


def test_an_image_of_the_file_is_given_by_its_name(scripted_worker, image_file):
    obj = make.scripted_cube("Named")
    bpy.data.images.load(image_file).name = "Painted"
    assert texture_selected(image="Painted", wait=True) == {"FINISHED"}
    assert len(obj.orbit_texture.takes) == 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"image": "/nowhere/cat.png"}, "neither an image of this .blend nor a file"),
        ({"image": "IMAGE", "size": 1000}, "'texture_size' must be one of 1024"),
        ({"image": "IMAGE", "painter": "crayon"}, "'painter' must be one of"),
        ({"image": "IMAGE", "quality": "best"}, "'quality' must be one of"),
        (
            {"image": "IMAGE", "preset": "Sketch"},
            "no quality preset called 'Sketch'. There are: Draft, Fast, Balanced, Quality",
        ),
        ({}, "There is no reference for 'Refused'"),
    ],
)
@pytest.mark.parametrize("wait", [False, True])
def test_what_cannot_be_used_is_an_error_with_a_sentence(scripted_worker, image_file, given, sentence, wait):
    obj = make.scripted_cube("Refused")
    given = {name: image_file if value == "IMAGE" else value for name, value in given.items()}
    with pytest.raises(RuntimeError, match=re.escape(sentence)):
        texture_selected(**given, wait=wait)
    assert not obj.orbit_texture.takes


def test_a_call_that_waits_tells_which_object_failed_and_why(scripted_worker, image_file):
    bad, good = make.scripted_cube("paint=invalid"), make.scripted_cube("Good")
    make.select(good, bad)
    with pytest.raises(RuntimeError, match="paint=invalid: This mesh is a test"):
        texture_selected(image=image_file, wait=True)
    assert (len(good.orbit_texture.takes), len(bad.orbit_texture.takes)) == (1, 0)


def test_a_button_is_grey_without_a_reference_and_a_script_can_give_one():
    make.cube()
    assert bpy.ops.orbit_texture.texture_selected.poll()
    with bpy.context.temp_override(**{TEXTURE_BUTTON: bpy.context.scene}):
        assert not bpy.ops.orbit_texture.texture_selected.poll()


@pytest.mark.parametrize("first", ["import bpy", "import importlib"])
def test_the_documented_scripts_run(scripted_worker, image_file, first):
    text = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
    [script] = re.findall(rf"```python\n({first}\n.*?)```", text, re.DOTALL)
    assert "user_default" not in script
    obj = make.scripted_cube("Body")
    exec(re.sub(r'"[^"]*\.png"', repr(image_file), script), {})
    assert len(obj.orbit_texture.takes) == 1
    assert queue_settings(obj)["seed"] == 7
