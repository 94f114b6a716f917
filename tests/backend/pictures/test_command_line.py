"""Several pictures on the command line."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.api.errors import InvalidSettings
from backend.api.settings import Settings
from backend.commands.job_arguments import list_pictures
from backend.local import PictureFile, read_job
from tests.command_line import run_here
from tests.meshes import camera_at, knot, reference_image, surface_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    knot().export(folder / "knot.ply")
    surface = surface_of(knot())
    for name, azimuth in (("knot", 20), ("knot.back", 200)):
        image = reference_image(surface, camera_at(azimuth, 10, 256))
        Image.fromarray(image).save(folder / f"{name}.png")
        Image.fromarray(image[..., 3]).save(folder / f"{name}.mask.png")
    return folder


def test_images_that_are_given_again_are_further_pictures(folder):
    pictures = [
        PictureFile(folder / "knot.png"),
        PictureFile(folder / "knot.back.png", folder / "knot.back.mask.png"),
    ]
    _, job = read_job(folder / "knot.ply", pictures, Settings())
    assert [picture.side for picture in job.pictures] == [None, "back"]
    assert job.mask is None
    np.testing.assert_array_equal(job.more[0].mask, np.fromfile(pictures[1].mask, np.uint8))


def test_the_name_of_a_single_picture_says_nothing(folder):
    _, job = read_job(folder / "knot.ply", folder / "knot.back.png", Settings())
    assert job.side is None
    assert "side" not in job.arrays()


@pytest.mark.usefixtures("quick_draft")
def test_the_command_takes_several_images_and_masks(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    pictures = (
        "--image",
        "knot.png",
        "--image",
        "knot.back.png",
        "--mask",
        "-",
        "--mask",
        "knot.back.mask.png",
    )
    output = ("--texture-size", 1024, "-o", tmp_path / "out.glb", "--json")
    report = json.loads(run_here("texture", "knot.ply", *pictures, *output))
    assert [picture["used"] for picture in report["pictures"]] == [True, True]
    assert (tmp_path / "out.glb").stat().st_size > 10_000


def test_more_masks_than_images_are_refused():
    options = argparse.Namespace(image=[Path("knot.png")], mask=["a.png", "b.png"])
    with pytest.raises(InvalidSettings, match="more masks than images"):
        list_pictures(options)


def test_the_views_of_a_sheet_are_pictures(folder, tmp_path):
    front, back = (np.asarray(Image.open(folder / name)) for name in ("knot.png", "knot.back.png"))
    Image.fromarray(np.hstack([front, back])).save(tmp_path / "sheet.png")
    _, job = read_job(folder / "knot.ply", [PictureFile(tmp_path / "sheet.png", is_sheet=True)], Settings())
    assert len(job.pictures) == 2
    run_here("split", tmp_path / "sheet.png", "-o", tmp_path / "views")
    written = sorted(path.name for path in (tmp_path / "views").iterdir())
    assert written == ["sheet.1.png", "sheet.2.png"]
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "views" / "sheet.2.png")), job.more[0].image
    )


def test_a_sheet_takes_no_mask():
    options = argparse.Namespace(image=[Path("knot.png")], mask=["a.png"], sheet=True)
    with pytest.raises(InvalidSettings, match="takes no mask"):
        list_pictures(options)
