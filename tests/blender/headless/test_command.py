"""The command line inside Blender: what it writes, prints and returns."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import command
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint

from tests.blender import make

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("scripted_worker")]
ROOT = Path(__file__).resolve().parents[3]


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
    code = command.main(
        [
            "texture",
            "--image",
            str(picture),
            "--objects",
            "Body",
            "Hat bake=sleep:0.3",
            "--output",
            str(tmp_path / "out.blend"),
            "--size",
            "1024",
            "--seed",
            "3",
            "--json",
        ]
    )
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
    code = command.main(
        ["texture", "--image", str(picture), "--output", str(tmp_path / "out.blend"), "--json"]
    )
    assert code == 1
    outcomes = {event["object"]: event for event in events(capsys) if event["event"] == "object"}
    assert outcomes["Bad bake=invalid"]["error"]["message"] == "This mesh is a test."
    assert takes_in(tmp_path / "out.blend") == {"Good": 1, "Bad bake=invalid": 0}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--objects", "Nobody"], "no object called 'Nobody'"),
        (["--azimuth", "30"], "both azimuth and elevation"),
        (["--image", "missing.png"], "no reference image at"),
        (["--output", "out.glb"], "must be a .blend file"),
    ],
)
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
    code = command.main(
        ["texture", "--image", str(picture), "--output", str(tmp_path / "file" / "out.blend")]
    )
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
    jobs = manifest(
        tmp_path,
        """
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
    """,
    )
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert len([event for event in events(capsys) if event["event"] == "object"]) == 3
    report = json.loads((tmp_path / "textured" / "scene.json").read_text())
    assert {name: outcome["state"] for name, outcome in report["objects"].items()} == {
        "Body": "finished",
        "Hat": "finished",
    }
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert {event["event"] for event in events(capsys)} == {"skipped"}
    assert Path(bpy.data.filepath) == tmp_path / "scene.blend"
    assert takes_in(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 1}
    assert takes_in(tmp_path / "hat.blend") == {"Body": 0, "Hat": 1}


def test_a_second_batch_adds_what_failed_and_a_changed_image_starts_over(tmp_path, picture, capsys):
    scene(tmp_path, "Body", "Hat")
    jobs = manifest(
        tmp_path,
        """
        [[job]]
        blend = "scene.blend"
        images = { Body = "reference.png", Hat = "hat.png" }
    """,
    )
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
    jobs = manifest(
        tmp_path,
        """
        [[job]]
        blend = "scene.blend"
        image = "reference.png"
    """,
    )
    assert command.main(["batch", "--manifest", jobs]) == 0
    report = tmp_path / "textured" / "scene.json"
    outcomes = json.loads(report.read_text())
    outcomes["objects"]["Hat"]["state"] = "failed"
    report.write_text(json.dumps(outcomes))
    assert command.main(["batch", "--manifest", jobs]) == 0
    assert takes_in(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 2}
    assert json.loads(report.read_text())["objects"]["Hat"]["state"] == "finished"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no [[job]]"),
        ("[[job]]\nblend = 'a.blend'", "needs a 'blend', and an 'image'"),
        ("[[job]]\nblend = 'a.blend'\nimage = 'a.png'\nsiez = 3", "no key called 'siez'"),
        ("[[job]]\nblend = 'a.blend'\nimage = 'a.png'\ntexture_size = 3", "must be one of"),
        ("nonsense", "cannot be read"),
    ],
)
def test_a_manifest_with_a_mistake_makes_the_exit_code_2(tmp_path, capsys, text, sentence):
    assert command.main(["batch", "--manifest", manifest(tmp_path, text)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_missing_blend_does_not_stop_the_rest(tmp_path, picture, capsys):
    scene(tmp_path, "Body")
    jobs = manifest(
        tmp_path,
        """
        [defaults]
        image = "reference.png"
        [[job]]
        blend = "missing.blend"
        [[job]]
        blend = "scene.blend"
    """,
    )
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 1
    said = events(capsys)
    assert "There is no file" in said[0]["message"]
    assert said[-1]["event"] == "saved"


def test_what_is_done_stays_when_the_batch_is_interrupted_and_the_next_run_goes_on_there(
    tmp_path, picture, capsys
):
    scene(tmp_path, "Quick", "Slow bake=sleep:20")
    jobs = manifest(
        tmp_path,
        """
        [[job]]
        blend = "scene.blend"
        image = "reference.png"
    """,
    )
    output = tmp_path / "textured" / "scene.blend"

    def interrupt_once_saved():
        until = time.monotonic() + 20
        while not output.exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_saved).start()
    assert command.main(["batch", "--manifest", jobs]) == 130
    assert takes_in(output) == {"Quick": 1, "Slow bake=sleep:20": 0}
    # The rest is given a name that takes no time.
    bpy.data.objects["Slow bake=sleep:20"].name = "Slow"
    bpy.ops.wm.save_mainfile()
    capsys.readouterr()
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert [event["object"] for event in events(capsys) if event["event"] in ("skipped", "object")] == [
        "Quick",
        "Slow",
    ]
    assert takes_in(output) == {"Quick": 1, "Slow": 1}


def test_partial_results_are_discarded_on_request(tmp_path, picture, capsys):
    source = scene(tmp_path, "Good", "Bad bake=invalid")
    arguments = [
        "texture",
        "--image",
        str(picture),
        "--output",
        str(tmp_path / "out.blend"),
        "--partial",
        "discard",
    ]
    assert command.main(arguments) == 1
    assert [len(obj.orbit_texture.takes) for obj in bpy.data.objects] == [0, 0]
    assert not (tmp_path / "out.blend").exists()
    assert takes_in(source)["Good"] == 0
    assert command.main([*arguments, "--objects", "Good"]) == 0
    assert takes_in(tmp_path / "out.blend")["Good"] == 1


def test_a_batch_that_discards_partial_results_starts_over(tmp_path, picture, capsys):
    scene(tmp_path, "Good", "Bad bake=invalid")
    jobs = manifest(tmp_path, "[[job]]\nblend = 'scene.blend'\nimage = 'reference.png'")
    for _ in range(2):
        assert command.main(["batch", "--manifest", jobs, "--partial", "discard", "--json"]) == 1
        assert not [event for event in events(capsys) if event["event"] in ("skipped", "saved")]
    report = json.loads((tmp_path / "textured" / "scene.json").read_text())
    assert report["objects"]["Good"]["state"] == "discarded"
    assert not (tmp_path / "textured" / "scene.blend").exists()


def test_a_batch_follows_rules_and_tells_of_one_that_means_nothing(tmp_path, picture, capsys):
    scene(tmp_path, "Body", "Hat")
    jobs = manifest(
        tmp_path,
        """
        [[job]]
        blend = "scene.blend"
        [[job.rule]]
        objects = ["*"]
        image = "reference.png"
        [[job.rule]]
        objects = ["H*"]
        seed = 7
        [[job.rule]]
        objects = ["Coat"]
        seed = 8
    """,
    )
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert [event["message"] for event in events(capsys) if event["event"] == "note"] == [
        "The rule for Coat means no object here."
    ]
    takes_in(tmp_path / "textured" / "scene.blend")
    seeds = {obj.name: json.loads(obj.orbit_texture.takes[0].settings)["seed"] for obj in bpy.data.objects}
    assert seeds == {"Body": 0, "Hat": 7}


def test_texture_takes_a_folder_and_rules_and_yes_or_no(tmp_path, picture, capsys):
    scene(tmp_path, "Body", "Hat")
    (tmp_path / "Body.png").write_bytes(make.png())
    (tmp_path / "rules.toml").write_text(
        '[[rule]]\nobjects = ["Hat"]\nimage = "reference.png"\nrefine = false\n'
    )
    assert (
        command.main(
            [
                "texture",
                "--folder",
                str(tmp_path),
                "--rules",
                str(tmp_path / "rules.toml"),
                "--refine",
                "--output",
                str(tmp_path / "out.blend"),
            ]
        )
        == 0
    )
    takes_in(tmp_path / "out.blend")
    refined = {
        obj.name: json.loads(obj.orbit_texture.takes[0].settings)["refine"] for obj in bpy.data.objects
    }
    assert refined == {"Body": True, "Hat": False}


def test_the_doctor_tells_what_the_backend_finds(capsys):
    command.main(["doctor", "--json"])
    findings = {event["name"]: event for event in events(capsys)}
    assert findings["Blender"]["detail"].startswith(bpy.app.version_string)
    assert findings["packages"]["state"] == "ok"


def test_the_doctor_without_a_backend_names_the_command_that_installs_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    assert command.main(["doctor"]) == 1
    assert "is not installed" in (said := capsys.readouterr().out)
    assert 'install.py" backend' in said


def test_nothing_is_downloaded_before_the_terms_are_agreed_to_or_offline(capsys):
    bpy.context.preferences.system.use_online_access = False
    assert command.main(["download", "orbitpainter", "--json"]) == 2
    said = events(capsys)
    assert {event["event"] for event in said} == {"source", "error"}
    assert "add --yes" in said[-1]["message"]
    assert command.main(["download", "orbitpainter", "--yes"]) == 2
    assert "Blender is offline" in capsys.readouterr().err


def test_a_download_that_fails_says_why(own_server, capsys):
    bpy.context.preferences.system.use_online_access = True
    assert command.main(["download", "trellis2", "--yes", "--json"]) == 1
    said = events(capsys)[-1]
    assert (said["event"], said["download"], said["state"]) == ("download", "trellis2", "failed")
    assert "cannot be downloaded (ConnectError" in said["error"]["message"]


def test_the_example_script_does_the_same_in_a_plain_python(tmp_path, picture):
    source = scene(tmp_path, "Body", "Hat")
    run = subprocess.run(
        [
            sys.executable,
            ROOT / "docs" / "examples" / "texture_selected.py",
            source,
            "--image",
            picture,
            "--objects",
            "Hat",
            "--output",
            tmp_path / "out.blend",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert takes_in(tmp_path / "out.blend") == {"Body": 0, "Hat": 1}


def test_what_is_done_stays_when_blender_is_killed(tmp_path, picture):
    source, output = scene(tmp_path, "Quick", "Slow bake=sleep:5"), tmp_path / "out.blend"
    blender = subprocess.Popen(
        [
            sys.executable,
            ROOT / "docs" / "examples" / "texture_selected.py",
            source,
            "--image",
            picture,
            "--output",
            output,
        ],
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not output.exists():
        assert blender.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    blender.kill()
    blender.wait()
    assert takes_in(output) == {"Quick": 1, "Slow bake=sleep:5": 0}
