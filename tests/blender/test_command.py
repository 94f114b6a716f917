"""The command line inside Blender: what it writes, prints and returns."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import bpy
import make
import pytest
from bl_ext.user_default.orbit_texture.addon import command
from bl_ext.user_default.orbit_texture.addon.fingerprint import fingerprint

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("scripted_worker")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def picture(tmp_path) -> Path:
    (tmp_path / "reference.png").write_bytes(make.png())
    return tmp_path / "reference.png"


def events(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def takes_in(file: Path) -> dict[str, int]:
    """How many takes each object of a .blend has; opens it."""
    bpy.ops.wm.open_mainfile(filepath=str(file))
    return {obj.name: len(obj.orbit_texture.takes) for obj in bpy.data.objects}


def scene(folder: Path, *names: str) -> Path:
    for name in names:
        make.scripted(name)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    return folder / "scene.blend"


@pytest.mark.every_blender
def test_texture_writes_a_copy_and_prints_events(tmp_path, picture, capsys):
    source = scene(tmp_path, "Body", "Hat bake=sleep:0.3", "Floor")
    content = source.read_bytes()
    code = command.main(["texture", "--image", str(picture), "--objects", "Body", "Hat bake=sleep:0.3",
                         "--output", str(tmp_path / "out.blend"), "--size", "1024", "--seed", "3", "--json"])
    assert code == 0
    said = events(capsys)
    assert [event["object"] for event in said if event["event"] == "object"] == ["Body", "Hat bake=sleep:0.3"]
    assert any(event["event"] == "progress" and event["stage"] == "bake" for event in said)
    assert said[-1] == {"event": "saved", "file": str(tmp_path / "out.blend")}
    assert Path(bpy.data.filepath) == source
    assert takes_in(tmp_path / "out.blend") == {"Body": 1, "Hat bake=sleep:0.3": 1, "Floor": 0}
    settings = json.loads(bpy.data.objects["Body"].orbit_texture.takes[0].settings)
    assert (settings["texture_size"], settings["seed"]) == (1024, 3)
    assert source.read_bytes() == content


def test_an_object_that_fails_makes_the_exit_code_1(tmp_path, picture, capsys):
    scene(tmp_path, "Good", "Bad bake=invalid")
    code = command.main(["texture", "--image", str(picture), "--output", str(tmp_path / "out.blend"), "--json"])
    assert code == 1
    outcomes = {event["object"]: event for event in events(capsys) if event["event"] == "object"}
    assert outcomes["Bad bake=invalid"]["error"]["message"] == "This mesh is a test."
    assert takes_in(tmp_path / "out.blend") == {"Good": 1, "Bad bake=invalid": 0}


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--objects", "Nobody"], "no object called 'Nobody'"),
    (["--azimuth", "30"], "both azimuth and elevation"),
    (["--image", "missing.png"], "no reference image at"),
    (["--output", "out.glb"], "must be a .blend file")])
def test_bad_arguments_make_the_exit_code_2_and_write_nothing(tmp_path, picture, capsys, arguments, sentence):
    scene(tmp_path, "Body")
    output = tmp_path / "out.blend"
    assert command.main(["texture", "--image", str(picture), "--output", str(output), *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not output.exists()


def test_an_unknown_option_makes_the_exit_code_2(capsys):
    assert command.main(["texture", "--nonsense"]) == 2


def test_a_size_that_there_is_not_makes_the_exit_code_2(capsys):
    assert command.main(["texture", "--image", "a.png", "--output", "b.blend", "--size", "1000"]) == 2


def test_a_folder_that_cannot_be_written_is_told(tmp_path, picture, capsys):
    scene(tmp_path, "Body")
    (tmp_path / "file").write_text("not a folder")
    code = command.main(["texture", "--image", str(picture), "--output", str(tmp_path / "file" / "out.blend")])
    assert code == 1
    assert "cannot be written" in capsys.readouterr().err


def test_control_c_cancels_and_makes_the_exit_code_130(tmp_path, picture, capsys):
    obj = scene(tmp_path, "Slow paint=sleep:20") and bpy.data.objects[0]
    before = fingerprint(obj)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert command.main(["texture", "--image", str(picture), "--output", str(tmp_path / "out.blend")]) == 130
    assert fingerprint(obj) == before
    assert not (tmp_path / "out.blend").exists()


def manifest(folder: Path, text: str) -> str:
    (folder / "jobs.toml").write_text(text)
    return str(folder / "jobs.toml")


@pytest.mark.every_blender
def test_a_second_batch_skips_what_is_done(tmp_path, picture, capsys):
    scene(tmp_path, "Body", "Hat")
    jobs = manifest(tmp_path, """
        output = "textured"
        [defaults]
        image = "reference.png"
        texture_size = 1024
        [[job]]
        blend = "scene.blend"
        [[job]]
        blend = "scene.blend"
        objects = ["Hat"]
        output = "hat.blend"
    """)
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert len([event for event in events(capsys) if event["event"] == "object"]) == 3
    report = json.loads((tmp_path / "textured" / "scene.json").read_text())
    assert {name: outcome["state"] for name, outcome in report["objects"].items()} == {"Body": "finished", "Hat": "finished"}
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert {event["event"] for event in events(capsys)} == {"skipped"}
    assert Path(bpy.data.filepath) == tmp_path / "scene.blend"
    assert takes_in(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 1}
    assert takes_in(tmp_path / "hat.blend") == {"Body": 0, "Hat": 1}


def test_a_second_batch_adds_what_failed_and_a_changed_image_starts_over(tmp_path, picture, capsys):
    scene(tmp_path, "Body", "Hat")
    jobs = manifest(tmp_path, """
        [[job]]
        blend = "scene.blend"
        images = { Body = "reference.png", Hat = "hat.png" }
    """)
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 1
    assert takes_in(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 0}
    outcomes = {event["object"]: event for event in events(capsys) if event["event"] == "object"}
    assert "no reference image at" in outcomes["Hat"]["error"]["message"]
    # What failed is tried again, what is done is not.
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 1
    assert [event["object"] for event in events(capsys) if event["event"] == "skipped"] == ["Body"]
    (tmp_path / "hat.png").write_bytes(make.png(color=(0, 0, 90)))
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert not [event for event in events(capsys) if event["event"] == "skipped"]
    assert takes_in(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 1}


def test_a_batch_adds_to_what_an_earlier_run_has_finished(tmp_path, picture, capsys):
    scene(tmp_path, "Body", "Hat")
    jobs = manifest(tmp_path, """
        [[job]]
        blend = "scene.blend"
        image = "reference.png"
    """)
    assert command.main(["batch", "--manifest", jobs]) == 0
    report = tmp_path / "textured" / "scene.json"
    outcomes = json.loads(report.read_text())
    outcomes["objects"]["Hat"]["state"] = "failed"
    report.write_text(json.dumps(outcomes))
    assert command.main(["batch", "--manifest", jobs]) == 0
    assert takes_in(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 2}
    assert json.loads(report.read_text())["objects"]["Hat"]["state"] == "finished"


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "has no [[job]]"),
    ("[[job]]\nblend = 'a.blend'", "needs a 'blend', and an 'image'"),
    ("[[job]]\nblend = 'a.blend'\nimage = 'a.png'\nsiez = 3", "no key called 'siez'"),
    ("[[job]]\nblend = 'a.blend'\nimage = 'a.png'\ntexture_size = 3", "must be one of"),
    ("nonsense", "cannot be read")])
def test_a_manifest_with_a_mistake_makes_the_exit_code_2(tmp_path, capsys, text, sentence):
    assert command.main(["batch", "--manifest", manifest(tmp_path, text)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_missing_blend_does_not_stop_the_rest(tmp_path, picture, capsys):
    scene(tmp_path, "Body")
    jobs = manifest(tmp_path, """
        [defaults]
        image = "reference.png"
        [[job]]
        blend = "missing.blend"
        [[job]]
        blend = "scene.blend"
    """)
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 1
    said = events(capsys)
    assert "There is no file" in said[0]["message"]
    assert said[-1]["event"] == "saved"


def test_the_example_script_does_the_same_in_a_plain_python(tmp_path, picture):
    source = scene(tmp_path, "Body", "Hat")
    run = subprocess.run([sys.executable, ROOT / "docs" / "examples" / "texture_selected.py", source, "--image", picture,
                          "--objects", "Hat", "--output", tmp_path / "out.blend"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    assert takes_in(tmp_path / "out.blend") == {"Body": 0, "Hat": 1}
