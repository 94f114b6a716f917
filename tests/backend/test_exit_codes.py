"""Every command of the backend ends every user's mistake and every fault of the machine with the code that
docs/headless.md says, one sentence, and nothing half-made."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend import __main__ as command_line
from backend import pipeline
from backend.api import errors
from backend.api.exit_codes import find_exit_code
from backend.mesh.formats import gltf_writer, obj_writer

JOB = ("ball.ply", "--image", "ref.png", "-o", "out.glb")
CONVERT = ["--vae", "x", "--prompts", "x"]
CONVERT += [
    word for kind in ("base", "painter") for name in ("high", "low") for word in (f"--{kind}-{name}", "x")
]

MISTAKES = {
    "missing mesh": (("none.glb", "--image", "ref.png"), "invalid_mesh"),
    "no mesh": (("text.glb", "--image", "ref.png"), "invalid_mesh"),
    "image as mesh": (("ref.png", "--image", "ref.png"), "invalid_mesh"),
    "folder as mesh": (("folder", "--image", "ref.png"), "invalid_mesh"),
    "missing image": (("ball.ply", "--image", "none.png"), "invalid_image"),
    "no image": (("ball.ply", "--image", "text.png"), "invalid_image"),
    "folder as image": (("ball.ply", "--image", "folder"), "invalid_image"),
    "missing mask": (("ball.ply", "--image", "ref.png", "--mask", "none.png"), "invalid_image"),
    "no mask": (("ball.ply", "--image", "ref.png", "--mask", "text.png"), "invalid_image"),
    "size that is no size": (("ball.ply", "--image", "ref.png", "--texture-size", "999"), "invalid_settings"),
    "seed that is no number": (("ball.ply", "--image", "ref.png", "--seed", "x"), "invalid_settings"),
    "unknown option": (("ball.ply", "--image", "ref.png", "--sede", "1"), "invalid_settings"),
    "out of range": (("ball.ply", "--image", "ref.png", "--refine-strength", "5"), "invalid_settings"),
    "no device": (("ball.ply", "--image", "ref.png", "--device", "foo"), "invalid_settings"),
    "nothing given": ((), "invalid_settings"),
}
"""Arguments, and the code of the error; the exit code is 2."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a user, with a mesh, an image and files that are neither."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path / "home"))
    trimesh.creation.icosphere(1).export("ball.ply")
    image = np.zeros((32, 32, 4), np.uint8)
    image[8:24, 8:24] = 200, 50, 50, 255
    Image.fromarray(image).save("ref.png")
    for name in ("text.glb", "text.png", "file"):
        Path(name).write_text("hello", encoding="utf-8")
    Path("folder").mkdir()
    Path("full.glb").mkdir()
    return tmp_path


@pytest.fixture
def run_cli(folder, monkeypatch, capsys):
    """Runs ``python -m backend`` in this process; returns the exit code, output and errors. A failure may
    leave no file."""

    def run(*arguments) -> tuple[int, str, str]:
        before = set(folder.rglob("*"))
        monkeypatch.setattr("sys.argv", ["backend", *map(str, arguments)])
        code = command_line.main()
        output, said = capsys.readouterr()
        assert code == 0 or set(folder.rglob("*")) == before
        assert code == 0 or len(said.strip().splitlines()) == 1, said
        return code, output, said.strip()

    return run


def fail_with(error: BaseException):
    """A function that raises the error, whatever it is given."""

    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", ["texture", "check", "render", "bake"])
def test_a_mistake_makes_the_code_2_one_sentence_and_no_file(run_cli, command, mistake):
    words, code = MISTAKES[mistake]
    words = [word for word in words if command != "check" or word != "--image"]
    outputs = {"texture": ["-o", "out.glb", "--json"], "check": ["out", "--json"]}
    if command == "check":  # its folder is the third of its positional arguments
        words = [*words[:2], "out", *words[2:], "--json"] if words else ["--json"]
    else:
        words = [*words, *outputs.get(command, ["-o", "out"])] if words else []
    status, output, said = run_cli(command, *words)
    assert (status, said[-1]) == (2, ".")
    if "--json" in words:
        error = json.loads(output)["error"]
        assert (error["code"], error["message"]) == (code, said)
    else:
        assert not output


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("texture", *JOB, "--keep", "ref.png"),
        ("texture", *JOB, "--keep", "ref.png", "--region", "text.png"),
        ("texture", *JOB, "--keep", "folder", "--region", "ref.png"),
        ("texture", *JOB, "--repeat", "none.png"),
        ("texture", *JOB, "--repeat", "ref.png"),
        ("texture", *JOB[:-1], "out.xyz"),
        ("download", "nonsense"),
        ("licences", "nonsense"),
        ("serve", "--idle-seconds", "x"),
        ("embed", "--text-encoder", "x", "--tokenizer", "x", "--unwanted", "none.txt", "-o", "p.safetensors"),
        ("train", "ball.ply", "--expert", "high", "--base", "folder", "--steps", "0", "-o", "runs"),
        ("convert", *CONVERT, "--fast-high", "x"),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_other_mistakes_make_the_code_2(run_cli, words):
    status, _, said = run_cli(*words)
    assert (status, said[-1]) == (2, ".")


@pytest.mark.parametrize(
    "words",
    [
        ("texture", *JOB[:-1], "full.glb"),
        ("texture", *JOB[:-1], "file/out.glb"),
        ("bake", *JOB[:-1], "file"),
        ("bake", *JOB[:-1], "file/out"),
        ("check", "ball.ply", "ref.png", "file"),
        ("serve", "--run-dir", "file"),
        ("serve", "--run-dir", "file/run"),
        ("convert", *CONVERT, "-o", "m"),
        ("train", "ball.ply", "--expert", "high", "--base", "x", "--steps", "1", "-o", "runs"),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_what_is_missing_or_in_the_way_makes_the_code_1_before_anything_is_done(run_cli, monkeypatch, words):
    monkeypatch.setattr(pipeline, "run", fail_with(AssertionError("the job was run")))
    monkeypatch.setattr(pipeline, "run_until", fail_with(AssertionError("the job was run")))
    status, _, said = run_cli(*words)
    assert (status, said[-1]) == (1, ".")


@pytest.mark.parametrize("words", [("--from", "none"), ("--from", "file", "--yes")], ids=" ".join)
def test_a_download_without_its_files_makes_the_code_1(folder, monkeypatch, capsys, words):
    monkeypatch.setattr("sys.argv", ["backend", "download", "birefnet", *words])
    assert command_line.main() == 1
    assert "birefnet-lite-1024.onnx" in capsys.readouterr().err


FAULTS = [
    (MemoryError(), 1, "out_of_memory"),
    (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "storage"),
    (PermissionError(errno.EACCES, "Permission denied", "x"), 1, "storage"),
    (errors.InvalidWeights("Weights are missing."), 1, "invalid_weights"),
    (errors.OutOfMemory("Not enough."), 1, "out_of_memory"),
    (errors.InvalidSettings("This computer has no device 'cuda:0'."), 2, "invalid_settings"),
    (errors.DoubtfulView("The view is uncertain."), 3, "doubtful_view"),
    (KeyboardInterrupt(), 130, "cancelled"),
]


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS, ids=lambda value: repr(value)[:40])
def test_a_fault_of_a_job_has_its_code_and_leaves_nothing(run_cli, monkeypatch, fault, status, code):
    monkeypatch.setattr(pipeline, "run", fail_with(fault))
    monkeypatch.setattr(pipeline, "run_until", fail_with(fault))
    for words in (("texture", *JOB[:-1], "new/out.glb"), ("check", "ball.ply", "ref.png", "new/out")):
        found, output, said = run_cli(*words, "--json")
        error = json.loads(output)["error"]
        assert (found, error["code"], error["message"]) == (status, code, said)
    assert run_cli("bake", *JOB[:-1], "new/out")[0] == status


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_a_mesh_that_cannot_be_written_whole_leaves_the_old_one(folder, monkeypatch, suffix):
    from backend.api.errors import StorageError
    from backend.mesh.files import read_mesh, write_mesh

    mesh = read_mesh(folder / "ball.ply")
    corners = np.random.default_rng(0).random((len(mesh.faces), 3, 2), np.float32)
    maps = {1001: {"base_color": Image.new("RGB", (4, 4))}}
    write_mesh(folder / f"out{suffix}", mesh, corners, maps)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(obj_writer, "_write_materials", fail_with(full))
    monkeypatch.setattr(gltf_writer.Path, "write_bytes", fail_with(full))
    with pytest.raises(StorageError):
        write_mesh(folder / f"out{suffix}", mesh, 1 - corners, maps)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_every_kind_of_error_has_a_code_that_the_page_names():
    expected = {2: "invalid_mesh invalid_image invalid_settings invalid_target", 3: "doubtful_view"}
    expected[130] = "cancelled"
    for code, kind in errors._BY_CODE.items():
        status = next((number for number, names in expected.items() if code in names.split()), 1)
        assert find_exit_code(kind("x")) == status
