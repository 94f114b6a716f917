"""Jobs that only check their reference, masks that come with a job, and jobs that stop at a doubtful view."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend import __main__ as command_line
from backend import local, pipeline, store
from backend.api.errors import DoubtfulView, OrbitError
from backend.api.picture import GROUND_STROKE, OBJECT_STROKE
from backend.api.settings import Settings
from backend.local import PictureFile
from tests.meshes import camera_at, decode_png, job, knot, mesh_data, reference_image, surface_of

pytestmark = pytest.mark.usefixtures("quick_draft")


def ignore(stage: str, fraction: float) -> None:
    pass


def image_of(mesh: trimesh.Trimesh) -> np.ndarray:
    return reference_image(surface_of(mesh), camera_at(30, 15, 256))


@pytest.fixture(scope="module")
def knot_job():
    return job(mesh_data(knot()), image_of(knot()), texture_size=1024, voxel_resolution=128)


@pytest.fixture(scope="module")
def ball_job():
    """A job whose view cannot be known."""
    ball = trimesh.creation.icosphere(3)
    return job(mesh_data(ball), image_of(ball), texture_size=1024, voxel_resolution=128)


@pytest.fixture(scope="module")
def checked(knot_job, tmp_path_factory):
    """The folder, the result and the fractions of a check."""
    folder, fractions = tmp_path_factory.mktemp("checked"), []
    check = replace(knot_job, check_reference=True)
    result = pipeline.run(check, folder, lambda stage, fraction: fractions.append((stage, fraction)))
    return folder, result, fractions


def test_a_check_returns_the_mask_and_an_image_of_each_candidate(knot_job, checked):
    _, result, fractions = checked
    report = result.report
    assert set(report["seconds"]) == {"register"}
    assert {stage for stage, _ in fractions} == {"prepare", "register"}
    assert fractions[0][1] == 0
    assert 0.9 < max(fraction for _, fraction in fractions) <= 1
    assert json.loads(json.dumps(report)) == report
    assert (report["doubtful"], report["doubts"]) == (False, [])
    assert report["candidates"][0]["azimuth"] == pytest.approx(30, abs=3)
    assert (result.corner_uvs, result.sheet) == (None, None)
    mask = decode_png(result.textures["mask"])
    np.testing.assert_array_equal(mask > 127, knot_job.reference[..., 3] > 127)
    candidates = {f"candidate.{number}" for number in range(len(report["candidates"]))}
    assert set(result.textures) == {"mask", "outline"} | candidates
    assert decode_png(result.textures["outline"]).shape == (*mask.shape[:2], 3)
    assert decode_png(result.textures["candidate.0"]).shape == (256, 256, 4)


def test_a_texture_reuses_the_stages_of_a_check(knot_job, checked, tmp_path):
    folder, _, _ = checked
    check = replace(knot_job, check_reference=True)
    assert store.fingerprint(check) == store.fingerprint(knot_job)
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    assert set(stamps) == {"register.npz"}, "UVs, which take long, are made by the texture job"
    result = pipeline.run(knot_job, folder, ignore)
    assert "base_color" in result.textures
    assert all((folder / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())


def test_a_doubtful_view_stops_a_job_before_painting_and_another_goes_on(ball_job, tmp_path):
    stopping = replace(ball_job, settings=replace(ball_job.settings, on_doubt="stop"))
    with pytest.raises(DoubtfulView, match=r"uncertain.*Nothing was painted") as caught:
        pipeline.run(stopping, tmp_path, ignore)
    candidates = caught.value.candidates
    assert set(candidates[0]) == {"azimuth", "elevation", "confidence", "camera"}
    assert not re.search(r"\d\.\d{7}", json.dumps(candidates))
    assert OrbitError.from_dict(json.loads(json.dumps(caught.value.to_dict()))).candidates == candidates
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert set(stamps) == {"prepare.npz", "register.npz"}
    assert store.fingerprint(stopping) == store.fingerprint(ball_job)
    report = pipeline.run(ball_job, tmp_path, ignore).report
    assert (report["doubtful"], report["candidates"]) == (True, candidates)
    assert report["doubts"]
    assert set(report["doubts"]) <= set(report["notes"])
    assert len(set(report["notes"])) == len(report["notes"])
    assert all((tmp_path / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())


def test_a_check_of_a_doubtful_view_never_stops(ball_job, tmp_path):
    settings = replace(ball_job.settings, on_doubt="stop")
    check = replace(ball_job, settings=settings, check_reference=True)
    assert pipeline.run(check, tmp_path, ignore).report["doubtful"]


def test_a_mask_decides_what_the_object_is(knot_job, tmp_path):
    mask = knot_job.reference[..., 3]
    opaque = knot_job.reference.copy()
    opaque[..., 3] = 255
    check = replace(knot_job, reference=opaque, mask=mask, check_reference=True)
    result = pipeline.run(check, tmp_path, ignore)
    np.testing.assert_array_equal(decode_png(result.textures["mask"]) > 127, mask > 127)
    assert store.fingerprint(check) != store.fingerprint(replace(check, mask=None))
    assert store.fingerprint(check) != store.fingerprint(replace(check, mask=255 - mask))


def test_strokes_correct_the_mask_and_are_shown_before_the_view_is_found(knot_job, tmp_path):
    strokes = np.zeros((128, 128), np.uint8)
    strokes[60:68, 60:68] = GROUND_STROKE
    check, shown, stages = replace(knot_job, strokes=strokes, check_reference=True), [], []
    result = pipeline.run(check, tmp_path, lambda stage, fraction: stages.append(stage), shown.append)
    mask = decode_png(result.textures["mask"])
    assert (mask[120:136, 120:136] == 0).all()
    np.testing.assert_array_equal(mask[:60] > 127, knot_job.reference[:60, :, 3] > 127)
    [(outline, preview)] = shown
    assert outline[:256, :256] == pytest.approx(decode_png(result.textures["outline"]), abs=60)
    np.testing.assert_array_equal(preview[:256, :256, 0] > 127, mask > 127)
    assert store.fingerprint(check) != store.fingerprint(knot_job)


def test_a_job_with_a_mask_travels_and_is_saved_whole(knot_job, tmp_path):
    strokes = np.full((7, 9), OBJECT_STROKE, np.uint8)
    check = replace(knot_job, mask=knot_job.reference[..., 3], check_reference=True, strokes=strokes)
    store.save_job(tmp_path, check)
    again = store.load_job(tmp_path)
    assert again.check_reference
    np.testing.assert_array_equal(again.mask, check.mask)
    np.testing.assert_array_equal(again.strokes, strokes)
    assert store.fingerprint(again) == store.fingerprint(check)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, mesh in (("knot", knot()), ("ball", trimesh.creation.icosphere(3))):
        mesh.export(folder / f"{name}.ply")
        image = image_of(mesh)
        Image.fromarray(image[..., :3]).save(folder / f"{name}.png")
        Image.fromarray(image[..., 3]).save(folder / f"{name}_mask.png")
    return folder


@pytest.fixture
def run_cli(files, monkeypatch, capsys):
    """Runs ``python -m backend`` in this process; returns the exit code, output and errors."""

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.chdir(files)
        monkeypatch.setattr("sys.argv", ["backend", *map(str, arguments)])
        code = command_line.main()
        return (code, *capsys.readouterr())

    return run


def test_the_check_command_writes_mask_candidates_and_report(files, run_cli, tmp_path):
    arguments = ("check", "knot.ply", "knot.png", tmp_path, "--mask", "knot_mask.png")
    code, output, _ = run_cli(*arguments)
    assert code == 0
    assert "candidate 0: azimuth" in output
    written = {path.name for path in tmp_path.iterdir()}
    assert {"mask.png", "candidate.0.png", "report.json"} <= written
    found, given = (np.asarray(Image.open(path)) for path in (tmp_path / "mask.png", files / "knot_mask.png"))
    np.testing.assert_array_equal(found > 127, given > 127)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["candidates"]
    # A later stage in the same folder continues there.
    stamp = (tmp_path / "register.npz").stat().st_mtime_ns
    picture = PictureFile(files / "knot.png", files / "knot_mask.png")
    local.run_stage("render", files / "knot.ply", [picture], tmp_path, Settings())
    assert (tmp_path / "register.npz").stat().st_mtime_ns == stamp


def test_a_doubtful_view_has_an_exit_code_of_its_own(run_cli, tmp_path):
    mask = ("--mask", "ball_mask.png")
    assert run_cli("check", "ball.ply", "ball.png", tmp_path / "found", *mask)[0] == 0
    check = ("check", "ball.ply", "ball.png", tmp_path / "found", *mask)
    assert run_cli(*check, "--on-doubt", "stop")[0] == 3
    texture = ("texture", "ball.ply", "--image", "ball.png", *mask, "-o", tmp_path / "out.glb", "--json")
    code, output, errors = run_cli(*texture, "--on-doubt", "stop")
    assert code == 3
    assert "uncertain" in errors
    error = json.loads(output)["error"]
    assert (error["code"], len(error["candidates"]) > 0) == ("doubtful_view", True)
    assert not (tmp_path / "out.glb").exists()


def test_a_mask_that_does_not_fit_is_reported_by_every_command(run_cli, tmp_path):
    Image.new("L", (9, 9), 255).save(tmp_path / "small.png")
    arguments = ("knot.ply", "--image", "knot.png", "--mask", tmp_path / "small.png", "-o")
    for command, output in (("texture", "out.glb"), ("render", "r"), ("paint", "p"), ("bake", "b")):
        code, _, errors = run_cli(command, *arguments, tmp_path / output)
        assert (code, "The mask has 9 x 9 pixels" in errors) == (2, True)
    code, _, errors = run_cli(
        "check", "knot.ply", "knot.png", tmp_path / "c", "--mask", tmp_path / "none.png"
    )
    assert (code, "The mask" in errors) == (2, True)
