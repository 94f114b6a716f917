"""A texture says how it was made, and can be made again from that, bit for bit."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image, ImageDraw

from backend import __main__ as command_line
from backend import local
from backend.api.errors import InvalidSettings
from backend.api.paths import VERSION
from backend.api.settings import Settings
from backend.local import PictureFile
from backend.provenance import check_same, describe_origin, read_origin, stamp_png
from tests.meshes import job, mesh_data

pytestmark = pytest.mark.usefixtures("quick_draft")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a mesh file, a reference, and the draft of them in ``first``."""
    folder = tmp_path_factory.mktemp("made")
    trimesh.creation.icosphere(2).export(folder / "ball.ply")
    image = Image.new("RGBA", (128, 128))
    ImageDraw.Draw(image).ellipse((20, 20, 108, 108), (200, 80, 30, 255))
    image.save(folder / "ball.png")
    settings = Settings(texture_size=1024, voxel_resolution=128, seed=7)
    local.run_stage(
        "bake", folder / "ball.ply", [PictureFile(folder / "ball.png")], folder / "first", settings
    )
    return folder


def test_a_texture_and_its_report_say_how_they_were_made(made):
    origin = read_origin(made / "first" / "base_color.png")
    assert origin == read_origin(made / "first" / "report.json")
    assert origin == read_origin(made / "first" / "confidence.png")
    assert origin["version"] == VERSION
    assert origin["image_sha256"] == hashlib.sha256((made / "ball.png").read_bytes()).hexdigest()
    assert (origin["settings"]["seed"], origin["settings"]["texture_size"]) == (7, 1024)
    assert "mesh_sha256" in origin
    assert Image.open(made / "first" / "base_color.png").text["OrbitTexture"] == json.dumps(
        origin, sort_keys=True
    )


def test_a_draft_made_again_from_what_its_texture_says_is_the_same_to_the_bit(made):
    origin = read_origin(made / "first" / "base_color.png")
    settings = Settings.from_dict(origin["settings"])
    local.run_stage("bake", made / "ball.ply", [PictureFile(made / "ball.png")], made / "second", settings)
    names = sorted(path.name for path in (made / "first").glob("*.png"))
    assert "base_color.png" in names
    for name in names:
        assert (made / "first" / name).read_bytes() == (made / "second" / name).read_bytes(), name


def test_the_command_repeats_a_texture_and_refuses_another_image(made, monkeypatch, capsys):
    def repeat(image: str) -> int:
        command = ["texture", "ball.ply", "--image", image, "-o", "again/ball.glb"]
        monkeypatch.setattr("sys.argv", ["backend", *command, "--repeat", "first/base_color.png"])
        return command_line.main()

    monkeypatch.chdir(made)
    Image.new("RGBA", (128, 128), (9, 9, 9, 255)).save("other.png")
    assert repeat("other.png") != 0
    assert "another reference image" in capsys.readouterr().err
    assert not Path("again").exists()
    Path("again").mkdir()
    assert repeat("ball.png") == 0
    material = trimesh.load("again/ball.glb", force="mesh").visual.material
    first, again = (
        np.asarray(image.convert("RGB"))
        for image in (Image.open("first/base_color.png"), material.baseColorTexture)
    )
    np.testing.assert_array_equal(first, again)


def test_repeating_with_another_input_is_refused_and_names_it():
    box, ball = (mesh_data(shape) for shape in (trimesh.creation.box(), trimesh.creation.icosphere(1)))
    image, other = np.arange(9, dtype=np.uint8), np.arange(8, dtype=np.uint8)
    origin = describe_origin(job(box, image, seed=1))
    check_same(origin, job(box, image, seed=1))
    check_same(json.loads(json.dumps(origin)), job(box, image, seed=1, device="cpu"))
    for changed, word in [
        (job(box, other, seed=1), "another reference image"),
        (job(ball, image, seed=1), "another mesh"),
        (job(box, image, seed=2), "another setting"),
    ]:
        with pytest.raises(InvalidSettings, match=word):
            check_same(origin, changed)


def test_the_models_that_take_part_are_named_with_commit_and_hash(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    (tmp_path / "birefnet").mkdir()
    (tmp_path / "birefnet" / "model.onnx").write_bytes(bytes(7))
    plain = job(mesh_data(trimesh.creation.box()), np.arange(9, dtype=np.uint8))
    assert describe_origin(plain)["models"] == {"birefnet": ["model.onnx 7 bytes"]}
    entry = {"repository": "a/b", "commit": "c0ffee", "path": "x.onnx", "digest": "sha256:1", "size": 7}
    (tmp_path / "birefnet" / "manifest.json").write_text(json.dumps({"files": [entry], "licenses": {}}))
    assert describe_origin(plain)["models"] == {"birefnet": ["a/b@c0ffee/x.onnx sha256:1"]}


def test_a_model_that_the_user_put_there_is_named_too(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    (tmp_path / "isnet").mkdir()
    (tmp_path / "isnet" / "isnet-general-use.onnx").write_bytes(bytes(7))
    plain = job(mesh_data(trimesh.creation.box()), np.arange(9, dtype=np.uint8))
    assert describe_origin(plain)["models"] == {"isnet": ["isnet-general-use.onnx 7 bytes"]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\x89PNG",
        b'{"origin": {"settings": 3}}',
        b'{"origin": {"settings": {"seed": "x"}}}',
    ],
)
def test_a_file_that_does_not_say_how_it_was_made_is_named(tmp_path, data):
    (tmp_path / "file.png").write_bytes(data)
    with pytest.raises(InvalidSettings):
        read_origin(tmp_path / "file.png")


def test_a_stamped_png_has_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    stamped = stamp_png(np.frombuffer(file.getvalue(), np.uint8), {"a": "ü"})
    with Image.open(io.BytesIO(stamped.tobytes())) as image:
        image.verify()
    with Image.open(io.BytesIO(stamped.tobytes())) as image:
        assert np.array_equal(np.asarray(image), pixels)
