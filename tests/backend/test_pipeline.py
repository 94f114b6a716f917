"""One job, stage by stage, in this process and from the command line."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

from backend import pipeline, store
from backend.api.errors import Cancelled, InvalidSettings, StorageError
from backend.api.job import Result
from backend.api.settings import Settings
from backend.mesh.files import read_mesh
from backend.mesh.uvs import rasterize_atlas
from backend.render.contact_sheet import cameras_around
from backend.render.photograph import photograph
from backend.stages import STAGE_FORMAT, STAGES, StageRunner
from tests.command_line import run_here
from tests.meshes import (
    decode_png,
    job,
    knot,
    mesh_data,
    paint_solid,
    picture_of,
    surface_of,
)

pytestmark = pytest.mark.usefixtures("quick_draft")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def knot_job():
    return job(mesh_data(knot()), picture_of(knot()), texture_size=1024, voxel_resolution=128)


class ProgressRecorder:
    """A progress callback that records its calls, and cancels the job in one stage."""

    def __init__(self, cancel_in: str = ""):
        self.calls, self.cancel_in = [], cancel_in

    def __call__(self, stage: str, fraction: float) -> None:
        self.calls.append((stage, fraction))
        if stage == self.cancel_in:
            raise Cancelled


@dataclass(frozen=True)
class FinishedJob:
    """A job that has run: its folder with all stages, its result, and the calls of its progress callback."""

    folder: Path
    result: Result
    calls: list[tuple[str, float]]

    def copy(self, folder: Path) -> Path:
        """A copy of the job's folder, to be changed."""
        return Path(shutil.copytree(self.folder, folder))


@pytest.fixture(scope="module")
def finished(knot_job, tmp_path_factory):
    folder, recorder = tmp_path_factory.mktemp("finished"), ProgressRecorder()
    return FinishedJob(folder, pipeline.run(knot_job, folder, recorder), recorder.calls)


def test_a_job_gives_uvs_textures_and_a_report(knot_job, finished):
    result = finished.result
    assert result.corner_uvs.shape == (len(knot_job.mesh.faces), 3, 2)
    assert decode_png(result.textures["base_color"]).shape == (1024, 1024, 3)
    confidence, coverage = decode_png(result.textures["confidence"]), decode_png(result.textures["coverage"])
    assert confidence.shape == coverage.shape == (1024, 1024)
    assert set(np.unique(coverage)) == {0, 255}
    assert (coverage[confidence > 0] == 255).all()
    assert (confidence[coverage == 0] == 0).all()
    on = rasterize_atlas(result.corner_uvs, 1024)[0] >= 0
    assert (coverage[on] == 255).mean() == pytest.approx(result.report["coverage"], abs=1e-3)
    assert decode_png(result.textures["color_source"]).shape == (1024, 1024, 3)
    shares = result.report["color_source"]
    assert sum(shares.values()) == 100
    assert 20 < shares["from_picture"] < 80
    assert f"{shares['from_picture']} % from the picture" in "".join(result.report["notes"])
    assert json.loads(json.dumps(result.report)) == result.report
    assert set(result.report["seconds"]) == {"prepare", "register", "render", "paint", "align", "bake"}
    fractions = [fraction for _, fraction in finished.calls]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1


def test_a_second_run_of_a_job_repeats_no_stage_and_gives_the_same_result(knot_job, finished, tmp_path):
    folder = finished.copy(tmp_path / "job")
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    assert len(stamps) == len(finished.result.report["seconds"])
    second = pipeline.run(knot_job, folder, ProgressRecorder())
    assert stamps == {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    assert second.report == finished.result.report
    assert np.array_equal(second.textures["base_color"], finished.result.textures["base_color"])


def test_stages_of_an_earlier_version_are_repeated(knot_job, finished, tmp_path):
    folder = finished.copy(tmp_path / "job")
    for stage in ("prepare", "align"):
        path = folder / f"{stage}.npz"
        np.savez(path, seconds=np.array(1.0), format=np.array(1), vertices=np.zeros((0, 3)))
    second = pipeline.run(knot_job, folder, ProgressRecorder())
    for stage in ("prepare", "align"):
        with np.load(folder / f"{stage}.npz") as again, np.load(finished.folder / f"{stage}.npz") as first:
            assert set(again) == set(first)
            assert again["format"] == first["format"]
    assert np.array_equal(second.textures["base_color"], finished.result.textures["base_color"])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_a_byte(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def fill_with_text(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 cut short")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    (path / "something").mkdir(parents=True)


def lose_arrays(path: Path) -> None:
    np.savez(path, format=np.array(STAGE_FORMAT), seconds=np.array(1.0))


DAMAGES = (empty, cut, cut_a_byte, flip, fill_with_text, replace_by_folder, lose_arrays)


@pytest.mark.parametrize(
    ("stage", "damage"), [("prepare", flip), ("register", lose_arrays), ("render", cut), ("align", empty)]
)
def test_a_stage_whose_record_is_damaged_is_done_again(knot_job, finished, tmp_path, stage, damage):
    folder = finished.copy(tmp_path / "job")
    damage(folder / f"{stage}.npz")
    again = pipeline.run(knot_job, folder, ProgressRecorder())
    assert np.array_equal(again.textures["base_color"], finished.result.textures["base_color"])
    with np.load(folder / f"{stage}.npz") as record:
        assert len(record) > 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damage_to_the_record_of_a_stage_or_a_step_is_noticed(tmp_path, damage):
    stages = StageRunner(tmp_path, ProgressRecorder(), dict.fromkeys(STAGES, 0.1))
    save, load = (lambda value: {"value": np.array([value])}), (lambda arrays: int(arrays["value"][0]))
    assert stages.run("bake", lambda report: 1, save, load) == 1
    damage(tmp_path / "bake.npz")
    assert stages.run("bake", lambda report: 2, save, load) == 2
    assert stages.run("bake", lambda report: 3, save, load) == 2
    stages.cache_step("paint", "half", lambda: save(4))
    damage(tmp_path / "paint.half.npz")
    if damage is not lose_arrays:  # a step's arrays are read by the painter
        assert load(stages.cache_step("paint", "half", lambda: save(5))) == 5
    assert not list(tmp_path.glob("*.part"))


def test_the_same_job_inherits_only_complete_records(knot_job, finished, disk, tmp_path):
    small = disk("size=1m")
    new, other = small / "new", finished.copy(tmp_path / "other")
    for folder in (new, other):
        (folder / "job").mkdir(parents=True, exist_ok=True)
        (folder / "job" / "fingerprint").write_text("the same")
    (other / "paint.npz.part").touch()
    store.copy_finished_stages(new, [other])
    copied = {path.name for path in new.iterdir() if path.is_file()}
    assert copied < {path.name for path in finished.folder.glob("*.npz")}, "the disk was to be too small"
    assert all((new / name).read_bytes() == (other / name).read_bytes() for name in copied)


def test_a_job_cancelled_in_one_stage_after_another_keeps_those_before(knot_job, finished, tmp_path):
    for stage in ("register", "render", "paint", "align", "bake"):
        with pytest.raises(Cancelled):
            pipeline.run(knot_job, tmp_path, ProgressRecorder(cancel_in=stage))
        done = STAGES[: STAGES.index(stage)]
        assert {path.stem for path in tmp_path.iterdir()} == set(done)
    resumed = pipeline.run(knot_job, tmp_path, ProgressRecorder())
    assert np.array_equal(resumed.textures["base_color"], finished.result.textures["base_color"])


def test_a_mesh_with_usable_uvs_keeps_them(knot_job, finished, tmp_path):
    mesh = replace(knot_job.mesh, corner_uvs=finished.result.corner_uvs)
    folder = finished.copy(tmp_path / "job")
    (folder / "prepare.npz").unlink()
    again = pipeline.run(replace(knot_job, mesh=mesh), folder, ProgressRecorder())
    assert again.corner_uvs is None
    # The files differ: each says which mesh it was made for.
    one, other = (decode_png(result.textures["base_color"]) for result in (again, finished.result))
    np.testing.assert_array_equal(one, other)


def test_a_full_disk_is_reported_and_leaves_no_incomplete_stage(knot_job, disk):
    place = disk("size=300k")
    with pytest.raises(StorageError, match="disk is full"):
        pipeline.run(knot_job, place, ProgressRecorder())
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"painter": "oil"}, "'painter' must be one of draft"),
        ({"texture_size": 1000}, "'texture_size' must be one of"),
        ({"seed": -1}, "'seed' must lie between"),
        ({"seed": True}, "'seed' must be a whole number"),
        ({"azimuth": 10.0}, "both azimuth and elevation"),
        ({"azimuth": float("nan"), "elevation": 0.0}, "'azimuth' must be a number"),
        ({"strength": 3}, "no setting called 'strength'"),
    ],
)
def test_invalid_settings_are_reported(settings, message):
    with pytest.raises(InvalidSettings, match=message):
        Settings.from_dict(settings)


def run_process(*arguments) -> str:
    """The output of ``python -m backend``, run as a user does."""
    command = [sys.executable, "-m", "backend", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    # Slender, so that there is little surface to paint.
    rod = trimesh.creation.cylinder(0.15, 2, sections=24)
    for suffix in ("glb", "obj", "ply"):
        rod.export(folder / f"rod.{suffix}")
    Image.fromarray(picture_of(rod)).save(folder / "reference.png")
    return folder


@pytest.mark.parametrize(
    ("run", "source", "target"),
    [
        (run_here, "rod.glb", "out.glb"),
        (run_here, "rod.obj", "out.obj"),
        (run_process, "rod.ply", "out.glb"),
    ],
)
def test_the_command_line_textures_mesh_files(files, tmp_path, run, source, target):
    output = run(
        "texture",
        files / source,
        "--image",
        files / "reference.png",
        "-o",
        tmp_path / target,
        "--texture-size",
        1024,
    )
    assert "Baking" in output
    before, after = read_mesh(files / source), trimesh.load(tmp_path / target, force="mesh", process=False)
    assert len(after.faces) == len(before.faces)
    assert after.visual.material is not None
    corners = before.to_mesh_data().vertices[before.faces]
    again = read_mesh(tmp_path / target).to_mesh_data()
    np.testing.assert_allclose(again.vertices[again.faces], corners, atol=1e-5)


def test_the_stage_commands_write_files_to_look_at(files, tmp_path):
    common = (files / "rod.glb", "--image", files / "reference.png", "-o", tmp_path, "--texture-size", 1024)
    written = {}
    for stage in ("render", "paint", "bake"):
        written[stage] = {Path(line).name for line in run_here(stage, *common).splitlines()}
        assert all((tmp_path / name).stat().st_size > 0 for name in written[stage])
    assert {"horizontal_position.mp4", "horizontal_normal.png", "vertical_normal.mp4"} <= written["render"]
    assert "horizontal_color.mp4" in written["paint"]
    assert {
        "base_color.png",
        "confidence.png",
        "coverage.png",
        "disagreement.png",
        "textured.glb",
        "report.json",
    } <= written["bake"]


def test_the_sheet_shows_the_reference_and_the_textured_mesh_from_four_sides(knot_job, finished):
    result = finished.result
    sheet = decode_png(result.sheet).astype(np.float32)
    assert sheet.shape == (256, 5 * 256, 3)
    reference, *sides = np.split(sheet, 5, axis=1)
    given = cv2.resize(
        knot_job.reference[..., :3] * (knot_job.reference[..., 3:] / 255),
        (256, 256),
        interpolation=cv2.INTER_AREA,
    )
    assert np.abs(reference - given).mean() < 3
    surface = surface_of(knot())
    for number, (side, camera) in enumerate(
        zip(sides, cameras_around(surface.vertices, result.report["view"]["azimuth"]), strict=True)
    ):
        truth = photograph(surface, lambda face, weights, points: paint_solid(points), camera)
        assert ((side.max(axis=-1) > 8) == (truth.max(axis=-1) > 8)).mean() > 0.99
        if number == 0:
            assert np.abs(side - truth).mean() < 10
    assert np.abs(sides[0] - sides[2]).mean() > 20
