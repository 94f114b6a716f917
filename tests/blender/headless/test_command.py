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
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects import mask_correction
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.addon.objects.strokes import Stroke
from bl_ext.user_default.orbit_texture.backend.api.picture import GROUND_STROKE

from tests.blender import make

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("scripted_worker")]
ROOT = Path(__file__).resolve().parents[3]

ONE_JOB = """
[[job]]
blend = "scene.blend"
image = "reference.png"
"""
"""A manifest that textures every object of the scene from the same image."""


@pytest.fixture
def reference(tmp_path) -> Path:
    (tmp_path / "reference.png").write_bytes(make.png())
    return tmp_path / "reference.png"


def read_events(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def count_takes(file: Path) -> dict[str, int]:
    """How many takes each object of a .blend has; opens it."""
    bpy.ops.wm.open_mainfile(filepath=str(file))
    return {obj.name: len(obj.orbit_texture.takes) for obj in bpy.data.objects}


def save_scene(folder: Path, *names: str) -> Path:
    for name in names:
        make.scripted_cube(name)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    return folder / "scene.blend"


@pytest.mark.every_blender
def test_texture_writes_a_copy_and_prints_events(tmp_path, reference, capsys):
    source = save_scene(tmp_path, "Body", "Hat bake=sleep:0.3", "Floor")
    content = source.read_bytes()
    code = command.main(
        [
            "texture",
            "--image",
            str(reference),
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
    output = read_events(capsys)
    assert [event["object"] for event in output if event["event"] == "object"] == [
        "Body",
        "Hat bake=sleep:0.3",
    ]
    assert any(event["event"] == "progress" and event["stage"] == "bake" for event in output)
    assert output[-1] == {"event": "saved", "file": str(tmp_path / "out.blend")}
    assert Path(bpy.data.filepath) == source
    assert count_takes(tmp_path / "out.blend") == {"Body": 1, "Hat bake=sleep:0.3": 1, "Floor": 0}
    settings = json.loads(bpy.data.objects["Body"].orbit_texture.takes[0].settings)
    assert (settings["texture_size"], settings["seed"]) == (1024, 3)
    assert source.read_bytes() == content


def test_an_object_that_fails_makes_the_exit_code_1(tmp_path, reference, capsys):
    save_scene(tmp_path, "Good", "Bad bake=invalid")
    code = command.main(
        ["texture", "--image", str(reference), "--output", str(tmp_path / "out.blend"), "--json"]
    )
    assert code == 1
    outcomes = {event["object"]: event for event in read_events(capsys) if event["event"] == "object"}
    assert outcomes["Bad bake=invalid"]["error"]["message"] == "This mesh is a test."
    assert count_takes(tmp_path / "out.blend") == {"Good": 1, "Bad bake=invalid": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objects", "Nobody"], "no object called 'Nobody'"),
        (["--azimuth", "30"], "both azimuth and elevation"),
        (["--image", "missing.png"], "no reference image at"),
        (["--mask", "missing.png"], "no mask at"),
        (["--output", "out.glb"], "must be a .blend file"),
    ],
)
def test_bad_arguments_make_the_exit_code_2_and_write_nothing(
    tmp_path, reference, capsys, arguments, message
):
    save_scene(tmp_path, "Body")
    output = tmp_path / "out.blend"
    assert command.main(["texture", "--image", str(reference), "--output", str(output), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


MISTAKES = {
    "nothing given": [],
    "no command": ["nonsense"],
    "an unknown option": ["texture", "--nonsense"],
    "no size": ["texture", "--image", "a.png", "--output", "b.blend", "--size", "1000"],
    "no device": ["texture", "--image", "reference.png", "--output", "b.blend", "--device", "gpu"],
    "missing rules": ["texture", "--rules", "none.toml", "--output", "b.blend"],
    "no rules": ["texture", "--rules", "reference.png", "--output", "b.blend"],
    "a missing region": ["texture", "--region", "none.png", "--output", "b.blend"],
    "no image": ["check", "--image", "none.png", "--output", "new"],
    "no object": ["check", "--objects", "Nobody", "--output", "new"],
    "a missing manifest": ["batch", "--manifest", "none.toml"],
    "a folder as manifest": ["batch", "--manifest", "folder"],
    "no output": ["export"],
    "an object that is not there": ["export", "--glb", "new", "--objects", "Nobody"],
    "no format": ["export", "--textures", "new", "--format", "gif"],
    "an unknown model": ["download", "nonsense"],
}
FAULTS = {
    "a file as folder": ["texture", "--image", "reference.png", "--output", "file/out.blend"],
    "a folder as file": ["texture", "--image", "reference.png", "--output", "folder.blend"],
    "a folder as report": [
        "texture",
        "--image",
        "reference.png",
        "--output",
        "b.blend",
        "--report",
        "folder",
    ],
    "a file as folder of the check": ["check", "--image", "reference.png", "--output", "file"],
    "a folder as report of the batch": ["batch", "--manifest", "jobs.toml", "--report", "folder"],
    "no take to export": ["export", "--objects", "Body", "--glb", "new"],
}


@pytest.mark.every_blender
@pytest.mark.parametrize(
    ("code", "arguments"),
    [(2, words) for words in MISTAKES.values()] + [(1, words) for words in FAULTS.values()],
    ids=[*MISTAKES, *FAULTS],
)
def test_a_mistake_or_a_fault_has_its_code_one_sentence_and_no_file(
    tmp_path, reference, capsys, monkeypatch, code, arguments
):
    save_scene(tmp_path, "Body")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.texturing, "run", lambda *_: pytest.fail("The job was run."))
    monkeypatch.setattr(command.reference_check, "run", lambda *_: pytest.fail("The check was run."))
    for name in ("folder", "folder.blend"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    write_manifest(tmp_path, ONE_JOB)
    before = set(tmp_path.rglob("*"))
    assert command.main(arguments) == code
    said = capsys.readouterr().err.strip()
    assert (said[-1:], len(said.splitlines())) == (".", 1), said
    assert command.main([*arguments, "--json"]) == code
    [error] = read_events(capsys)
    assert (error["event"], error["message"]) == ("error", said)
    assert set(tmp_path.rglob("*")) == before


def texture(tmp_path: Path, reference: Path, *options: str) -> int:
    return command.main(
        ["texture", "--image", str(reference), "--output", str(tmp_path / "out.blend"), "--json", *options]
    )


def outcomes(capsys, kind: str = "object") -> dict[str, dict]:
    """The events of a kind by object."""
    return {event["object"]: event for event in read_events(capsys) if event["event"] == kind}


def test_a_doubtful_view_is_in_the_events_and_the_notes(tmp_path, reference, capsys):
    save_scene(tmp_path, "Sure", "Doubtful register=doubt")
    assert texture(tmp_path, reference) == 0
    found = outcomes(capsys)
    assert found["Sure"]["doubt"] is None
    doubt = found["Doubtful register=doubt"]["doubt"]
    assert doubt["message"] in found["Doubtful register=doubt"]["report"]["notes"]
    assert doubt["candidates"][0]["azimuth"] == 30
    assert count_takes(tmp_path / "out.blend") == {"Sure": 1, "Doubtful register=doubt": 1}


def test_with_on_doubt_stop_only_the_doubtful_object_has_no_take(tmp_path, reference, capsys):
    save_scene(tmp_path, "Sure", "Doubtful register=doubt")
    assert texture(tmp_path, reference, "--on-doubt", "stop") == 3
    found = outcomes(capsys)["Doubtful register=doubt"]
    assert (found["state"], found["error"]["code"]) == ("failed", "doubtful_view")
    assert found["doubt"]["message"] == found["error"]["message"] == "The view is a test."
    assert found["doubt"]["candidates"][0]["azimuth"] == 30
    assert count_takes(tmp_path / "out.blend") == {"Sure": 1, "Doubtful register=doubt": 0}


def test_a_failure_beside_a_doubtful_view_makes_the_exit_code_1(tmp_path, reference):
    save_scene(tmp_path, "Bad bake=invalid", "Doubtful register=doubt")
    assert texture(tmp_path, reference, "--on-doubt", "stop") == 1


def test_a_text_says_that_the_view_is_doubtful(tmp_path, reference, capsys):
    save_scene(tmp_path, "Doubtful register=doubt")
    assert command.main(["texture", "--image", str(reference), "--output", str(tmp_path / "out.blend")]) == 0
    assert "The view is a test." in capsys.readouterr().out


def test_the_mask_of_the_command_line_goes_with_its_image(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body", "Hat", "Shoe")
    (tmp_path / "mask.png").write_bytes(make.png(color=(255,)))
    (tmp_path / "Shoe.png").write_bytes(make.png(color=(0, 9, 0)))
    (tmp_path / "rules.toml").write_text('[[rule]]\nobjects = ["Hat"]\nimage = "Shoe.png"\nmask = "mask.png"')
    options = ("--mask", "mask.png", "--folder", ".", "--rules", "rules.toml")
    paths = (value if value.startswith("--") else str(tmp_path / value) for value in options)
    assert texture(tmp_path, reference, *paths) == 0
    masks = {name: event["report"]["mask"] for name, event in outcomes(capsys).items()}
    size = [(tmp_path / "mask.png").stat().st_size]
    assert masks == {"Body": size, "Hat": size, "Shoe": None}


def test_check_writes_what_was_found_and_changes_no_object(tmp_path, reference, capsys):
    save_scene(tmp_path, "Sure", "Doubtful register=doubt", "Bad register=invalid")
    before = {obj.name: fingerprint(obj) for obj in bpy.data.objects}
    arguments = ["check", "--image", str(reference), "--output", str(tmp_path / "found"), "--json"]
    objects = ["--objects", "Sure", "Doubtful register=doubt"]
    assert command.main([*arguments, *objects]) == 0
    found = outcomes(capsys, "checked")
    folder = Path(found["Doubtful register=doubt"]["folder"])
    images = {"mask.png", "outline.png", "candidate.0.png"}
    assert {file.name for file in folder.iterdir()} == images | {"report.json"}
    assert json.loads((folder / "report.json").read_text())["doubtful"]
    assert [event["doubt"] is None for event in map(found.get, objects[1:])] == [True, False]
    assert command.main([*arguments, *objects, "--on-doubt", "stop"]) == 3
    capsys.readouterr()
    assert command.main([*arguments[:-1], *objects]) == 0
    assert "Doubtful register=doubt: done    The view is a test." in capsys.readouterr().out
    assert command.main(arguments) == 1
    assert {obj.name: fingerprint(obj) for obj in bpy.data.objects} == before
    assert not any(obj.orbit_texture.takes for obj in bpy.data.objects)


def test_check_looks_for_the_object_with_the_corrected_mask(tmp_path, reference, capsys):
    save_scene(tmp_path, "Corrected")
    image = bpy.data.images.load(str(reference))
    box = Stroke("BOX", ((0.0, 0.0), (0.5, 1.0)))
    mask_correction.add_stroke(bpy.data.objects["Corrected"], image, box, None)
    arguments = ["check", "--image", str(reference), "--output", str(tmp_path / "found"), "--json"]
    assert command.main(arguments) == 0
    mask = bpy.data.images.load(str(Path(outcomes(capsys, "checked")["Corrected"]["folder"]) / "mask.png"))
    half_ground = 100 * GROUND_STROKE / 2
    assert abs(255 * mask.pixels[0] - half_ground) < 10  # the scripted mask tells the mean of the strokes


def press_control_c_when_a_job_runs() -> None:
    while not any(entry.event.stage for entry in queue.entries):
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


def test_control_c_cancels_and_makes_the_exit_code_130(tmp_path, reference, capsys):
    obj = save_scene(tmp_path, "Slow paint=sleep:20") and bpy.data.objects[0]
    before = fingerprint(obj)
    threading.Thread(target=press_control_c_when_a_job_runs, daemon=True).start()
    assert (
        command.main(["texture", "--image", str(reference), "--output", str(tmp_path / "out.blend")]) == 130
    )
    assert fingerprint(obj) == before
    assert not (tmp_path / "out.blend").exists()


def write_manifest(folder: Path, text: str) -> str:
    (folder / "jobs.toml").write_text(text)
    return str(folder / "jobs.toml")


@pytest.mark.every_blender
def test_a_second_batch_skips_what_is_done(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body", "Hat")
    jobs = write_manifest(
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
    assert len([event for event in read_events(capsys) if event["event"] == "object"]) == 3
    report = json.loads((tmp_path / "textured" / "scene.json").read_text())
    assert {name: outcome["state"] for name, outcome in report["objects"].items()} == {
        "Body": "finished",
        "Hat": "finished",
    }
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert {event["event"] for event in read_events(capsys)} == {"skipped"}
    assert Path(bpy.data.filepath) == tmp_path / "scene.blend"
    assert count_takes(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 1}
    assert count_takes(tmp_path / "hat.blend") == {"Body": 0, "Hat": 1}


def test_a_second_batch_retries_failures_and_a_changed_image_starts_over(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body", "Hat")
    jobs = write_manifest(
        tmp_path,
        """
        [[job]]
        blend = "scene.blend"
        images = { Body = "reference.png", Hat = "hat.png" }
    """,
    )
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 1
    assert count_takes(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 0}
    outcomes = {event["object"]: event for event in read_events(capsys) if event["event"] == "object"}
    assert "no reference image at" in outcomes["Hat"]["error"]["message"]
    # What failed is tried again, what is done is not.
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 1
    assert [event["object"] for event in read_events(capsys) if event["event"] == "skipped"] == ["Body"]
    (tmp_path / "hat.png").write_bytes(make.png(color=(0, 0, 90)))
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert not [event for event in read_events(capsys) if event["event"] == "skipped"]
    assert count_takes(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 1}


def test_a_batch_adds_to_what_an_earlier_run_has_finished(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body", "Hat")
    jobs = write_manifest(tmp_path, ONE_JOB)
    assert command.main(["batch", "--manifest", jobs]) == 0
    report = tmp_path / "textured" / "scene.json"
    outcomes = json.loads(report.read_text())
    outcomes["objects"]["Hat"]["state"] = "failed"
    report.write_text(json.dumps(outcomes))
    assert command.main(["batch", "--manifest", jobs]) == 0
    assert count_takes(tmp_path / "textured" / "scene.blend") == {"Body": 1, "Hat": 2}
    assert json.loads(report.read_text())["objects"]["Hat"]["state"] == "finished"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no [[job]]"),
        ("[[job]]\nblend = 'a.blend'", "needs a 'blend', and an 'image'"),
        ("[[job]]\nblend = 'a.blend'\nimage = 'a.png'\nsiez = 3", "no key called 'siez'"),
        ("[[job]]\nblend = 'a.blend'\nimage = 'a.png'\ntexture_size = 3", "must be one of"),
        ("nonsense", "is not TOML"),
    ],
)
def test_a_manifest_with_a_mistake_makes_the_exit_code_2(tmp_path, capsys, text, message):
    assert command.main(["batch", "--manifest", write_manifest(tmp_path, text)]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_blend_does_not_stop_the_other_jobs(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body")
    jobs = write_manifest(
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
    output = read_events(capsys)
    assert "There is no file" in output[0]["message"]
    assert output[-1]["event"] == "saved"


def test_a_batch_stops_doubtful_objects_and_the_next_may_go_on_with_them(tmp_path, reference, capsys):
    save_scene(tmp_path, "Sure", "Doubtful register=doubt")
    stopping = write_manifest(tmp_path, f"{ONE_JOB}on_doubt = 'stop'")
    assert command.main(["batch", "--manifest", stopping, "--json"]) == 3
    assert outcomes(capsys)["Doubtful register=doubt"]["error"]["code"] == "doubtful_view"
    output = tmp_path / "textured" / "scene.blend"
    assert count_takes(output) == {"Sure": 1, "Doubtful register=doubt": 0}
    going = write_manifest(tmp_path, f"{ONE_JOB}on_doubt = 'go'")
    assert command.main(["batch", "--manifest", going, "--json"]) == 0
    assert list(outcomes(capsys)) == ["Doubtful register=doubt"]
    assert count_takes(output) == {"Sure": 1, "Doubtful register=doubt": 1}


def test_a_changed_mask_makes_a_batch_start_over(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body")
    (tmp_path / "mask.png").write_bytes(make.png(color=(255,)))
    jobs = write_manifest(
        tmp_path,
        """
        [[job]]
        blend = "scene.blend"
        images = { Body = "reference.png" }
        masks = { Body = "mask.png" }
    """,
    )
    for textured in (["Body"], []):
        assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
        found = outcomes(capsys)
        assert list(found) == textured
        assert all(event["report"]["mask"] for event in found.values())
    (tmp_path / "mask.png").write_bytes(make.png(color=(254,)))
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert list(outcomes(capsys)) == ["Body"]


def test_an_interrupted_batch_keeps_finished_takes_and_the_next_run_continues(tmp_path, reference, capsys):
    save_scene(tmp_path, "Quick", "Slow bake=sleep:20")
    jobs = write_manifest(tmp_path, ONE_JOB)
    output = tmp_path / "textured" / "scene.blend"

    def interrupt_once_saved():
        until = time.monotonic() + 20
        while not output.exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_saved).start()
    assert command.main(["batch", "--manifest", jobs]) == 130
    assert count_takes(output) == {"Quick": 1, "Slow bake=sleep:20": 0}
    # The rest is given a name that takes no time.
    bpy.data.objects["Slow bake=sleep:20"].name = "Slow"
    bpy.ops.wm.save_mainfile()
    capsys.readouterr()
    assert command.main(["batch", "--manifest", jobs, "--json"]) == 0
    assert [event["object"] for event in read_events(capsys) if event["event"] in ("skipped", "object")] == [
        "Quick",
        "Slow",
    ]
    assert count_takes(output) == {"Quick": 1, "Slow": 1}


def test_partial_results_are_discarded_on_request(tmp_path, reference, capsys):
    source = save_scene(tmp_path, "Good", "Bad bake=invalid")
    arguments = [
        "texture",
        "--image",
        str(reference),
        "--output",
        str(tmp_path / "out.blend"),
        "--partial",
        "discard",
    ]
    assert command.main(arguments) == 1
    assert [len(obj.orbit_texture.takes) for obj in bpy.data.objects] == [0, 0]
    assert not (tmp_path / "out.blend").exists()
    assert count_takes(source)["Good"] == 0
    assert command.main([*arguments, "--objects", "Good"]) == 0
    assert count_takes(tmp_path / "out.blend")["Good"] == 1


def test_a_batch_that_discards_partial_results_starts_over(tmp_path, reference, capsys):
    save_scene(tmp_path, "Good", "Bad bake=invalid")
    jobs = write_manifest(tmp_path, ONE_JOB)
    for _ in range(2):
        assert command.main(["batch", "--manifest", jobs, "--partial", "discard", "--json"]) == 1
        assert not [event for event in read_events(capsys) if event["event"] in ("skipped", "saved")]
    report = json.loads((tmp_path / "textured" / "scene.json").read_text())
    assert report["objects"]["Good"]["state"] == "discarded"
    assert not (tmp_path / "textured" / "scene.blend").exists()


def test_a_batch_follows_rules_and_reports_one_that_matches_nothing(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body", "Hat")
    jobs = write_manifest(
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
    assert [event["message"] for event in read_events(capsys) if event["event"] == "note"] == [
        "The rule for Coat matches no object here."
    ]
    count_takes(tmp_path / "textured" / "scene.blend")
    seeds = {obj.name: json.loads(obj.orbit_texture.takes[0].settings)["seed"] for obj in bpy.data.objects}
    assert seeds == {"Body": 0, "Hat": 7}


def test_texture_accepts_a_folder_rules_and_boolean_options(tmp_path, reference, capsys):
    save_scene(tmp_path, "Body", "Hat")
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
    count_takes(tmp_path / "out.blend")
    refined = {
        obj.name: json.loads(obj.orbit_texture.takes[0].settings)["refine"] for obj in bpy.data.objects
    }
    assert refined == {"Body": True, "Hat": False}


def test_the_doctor_command_reports_the_backends_findings(capsys):
    command.main(["doctor", "--json"])
    findings = {event["name"]: event for event in read_events(capsys)}
    assert findings["Blender"]["detail"].startswith(bpy.app.version_string)
    assert findings["packages"]["state"] == "ok"


def test_the_doctor_command_without_a_backend_names_the_install_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    assert command.main(["doctor"]) == 1
    assert "is not installed" in (output := capsys.readouterr().out)
    assert "install.py backend" in output


def test_download_needs_agreement_to_the_terms_and_online_access(capsys):
    bpy.context.preferences.system.use_online_access = False
    assert command.main(["download", "orbitpainter", "--json"]) == 2
    output = read_events(capsys)
    assert {event["event"] for event in output} == {"source", "error"}
    assert "add --yes" in output[-1]["message"]
    assert command.main(["download", "orbitpainter", "--yes"]) == 2
    assert "Blender is offline" in capsys.readouterr().err


def test_a_failed_download_reports_the_reason(own_server, capsys):
    bpy.context.preferences.system.use_online_access = True
    assert command.main(["download", "trellis2", "--yes", "--json"]) == 1
    output = read_events(capsys)[-1]
    assert (output["event"], output["download"], output["state"]) == ("download", "trellis2", "failed")
    assert "cannot be downloaded (ConnectError" in output["error"]["message"]


def test_the_example_script_textures_in_a_plain_python(tmp_path, reference):
    source = save_scene(tmp_path, "Body", "Hat")
    run = subprocess.run(
        [
            sys.executable,
            ROOT / "docs" / "examples" / "texture_selected.py",
            source,
            "--image",
            reference,
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
    assert count_takes(tmp_path / "out.blend") == {"Body": 0, "Hat": 1}


def test_finished_takes_stay_in_the_output_when_blender_is_killed(tmp_path, reference):
    source, output = save_scene(tmp_path, "Quick", "Slow bake=sleep:5"), tmp_path / "out.blend"
    blender = subprocess.Popen(
        [
            sys.executable,
            ROOT / "docs" / "examples" / "texture_selected.py",
            source,
            "--image",
            reference,
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
    assert count_takes(output) == {"Quick": 1, "Slow bake=sleep:5": 0}
