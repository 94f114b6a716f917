"""The example scripts for a render farm and for an asset library."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import command

from tests.blender import make

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"


def make_contact_sheet() -> bytes:
    """A contact sheet of five images, of which the second is green, as Blender writes it."""
    pixels = np.zeros((8, 5, 8, 4), np.float32)
    pixels[..., 3] = 1
    pixels[:, 0, :, 0] = pixels[:, 1, :, 1] = 0.8
    image = bpy.data.images.new("Sheet", 40, 8)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    content = bytes(image.packed_file.data)
    bpy.data.images.remove(image)
    return content


@pytest.mark.every_blender
def test_textured_objects_become_assets_whose_preview_is_their_front(tmp_path, monkeypatch):
    textured, bare = make.cube(), make.cube()
    textured.name, bare.name = "Textured", "Bare"
    make.apply(textured, sheet=make_contact_sheet())
    monkeypatch.setattr(sys, "argv", ["blender", "--", str(tmp_path / "library" / "props.blend")])
    runpy.run_path(str(EXAMPLES / "asset_library.py"), run_name="__main__")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "library" / "props.blend"))
    asset = bpy.data.objects["Textured"]
    assert asset.asset_data.tags.keys() == ["orbit texture"]
    assert asset.asset_data.description.endswith("Take 1")
    assert bpy.data.objects["Bare"].asset_data is None
    assert tuple(asset.preview.image_size) == (8, 8)
    assert np.reshape(asset.preview.image_pixels_float[:], (64, 4))[:, :3] == pytest.approx(
        np.tile([0, 0.8, 0], (64, 1)), abs=0.01
    )


def test_the_flamenco_script_uses_options_that_the_command_has(capsys):
    script = (EXAMPLES / "orbit_texture.js").read_text(encoding="utf-8")
    for name in ("texture", "export"):
        [arguments] = re.findall(rf'\[\s*"{name}", ([^\]]*)\]', script)
        command.main([name, "--help"])
        known = capsys.readouterr().out
        options = re.findall(r'"(--[a-z-]+)"', arguments)
        assert options
        assert [
            option
            for option in options
            if f"{option} " not in known and f"{option}," not in known and f"{option}]" not in known
        ] == []


def test_the_flamenco_script_makes_a_texture_task_and_a_dependent_export(tmp_path):
    """Runs the script as Flamenco does, if there is a JavaScript to run it with."""
    harness = """
        const tasks = [], path = require("path");
        const author = {
            Task: (name, type) => ({
                name, type, after: [], commands: [],
                addCommand(command) { this.commands.push(command) },
                addDependency(task) { this.after.push(task.name) }}),
            Command: (name, parameters) => ({name, ...parameters})};
    """
    run = """
        compileJob({settings: {references: "/r", painter: "draft", texture_size: 1024, output: "/o",
                               blendfile: "/b/chair.blend"},
                    addTask: task => tasks.push(task)});
        console.log(JSON.stringify(tasks));
    """
    (tmp_path / "run.js").write_text(
        harness + (EXAMPLES / "orbit_texture.js").read_text(encoding="utf-8") + run
    )
    try:
        output = subprocess.run(
            ["node", tmp_path / "run.js"], capture_output=True, text=True, check=True
        ).stdout
    except FileNotFoundError:
        pytest.skip("There is no node.")
    assert '"name":"export","type":"blender","after":["texture"]' in output
    assert (
        '"blendfile":"/o/chair.blend","args":["--command","orbit_texture","export","--glb","/o","--json"]'
        in output
    )
