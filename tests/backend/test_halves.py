"""Half a body and a picture of the whole: the whole is painted and laid on the half."""

from dataclasses import replace

import numpy as np
import pytest

from backend import pipeline
from backend.api.job import Kept
from backend.mesh.prepare import clean, job_uvs, prepare
from backend.mesh.uvs import rasterize_atlas
from backend.results import encode_png
from tests.meshes import camera_at, decode_png, ignore_progress, job, mesh_data, reference_image
from tests.stacked_meshes import body, cut


def quiet(stage: str, fraction: float) -> None:
    ignore_progress(fraction)


def half_job(shown, azimuth: float = 20.0):
    """A job with half a body and a picture of some mesh."""
    picture = reference_image(clean(mesh_data(shown)), camera_at(azimuth, 10, 256))
    half = mesh_data(cut(body(), (1, 0, 0)))
    return job(half, picture, texture_size=1024, voxel_resolution=128)


def is_whole(report: dict) -> bool:
    return any("half of a body" in note for note in report["notes"])


@pytest.mark.parametrize(("shown", "whole"), [(body(), True), (cut(body(), (1, 0, 0)), False)])
def test_the_picture_tells_whether_a_half_is_completed(shown, whole, tmp_path):
    check = replace(half_job(shown), check_reference=True)
    report = pipeline.run(check, tmp_path, quiet).report
    assert is_whole(report) == whole
    assert (report["whole_box"] is not None) == whole
    assert abs(report["candidates"][0]["azimuth"] - 20) < 5
    again = pipeline.run(check, tmp_path, quiet).report
    assert again["candidates"] == report["candidates"]
    assert again["notes"] == report["notes"]


def test_a_region_of_the_half_is_repainted_with_the_whole(tmp_path):
    first = half_job(body())
    uvs = job_uvs(prepare(first.mesh, 1024, ignore_progress), first.mesh)
    # The region is given by faces of the half.
    marked = (first.mesh.vertices[first.mesh.faces][..., 2].mean(axis=1) > 0.6).astype(np.uint8)
    kept = Kept({"base_color": encode_png(np.full((1024, 1024, 3), 100, np.uint8))}, marked)
    repaint = replace(first, mesh=replace(first.mesh, corner_uvs=uvs), kept=kept)
    result = pipeline.run(repaint, tmp_path, quiet)
    assert result.corner_uvs is None
    assert is_whole(result.report)
    assert abs(result.report["view"]["azimuth"] - 20) < 5
    color = decode_png(result.textures["base_color"])
    assert color.shape == (1024, 1024, 3)
    grey = (color == 100).all(axis=-1)
    outside = (marked == 0)[rasterize_atlas(uvs, 1024)[0]] & (rasterize_atlas(uvs, 1024)[0] >= 0)
    assert grey[outside].all()
    assert grey.mean() < 0.95
    again = pipeline.run(repaint, tmp_path, quiet)
    assert again.report == result.report
    assert np.array_equal(decode_png(again.textures["base_color"]), color)
