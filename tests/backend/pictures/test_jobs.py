"""Jobs with several pictures, from the images to the texture."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from backend import pipeline
from backend.api.errors import InvalidImage
from backend.api.job import Job
from backend.api.picture import Picture
from backend.api.settings import Settings
from backend.mesh.texels import locate_texels
from backend.pipeline import run_until
from backend.results import make_result
from backend.stages import StageRunner, progress_shares
from tests.drafts import quick_drafts
from tests.meshes import camera_at, knot, mesh_data, paint_solid, reference_image, surface_of

DIRECTIONS = ((20, 10), (140, 10), (260, 10), (20, 80))


@pytest.fixture(scope="module")
def solid():
    return surface_of(knot())


@pytest.fixture(scope="module")
def images(solid):
    """Of different sizes; the second one darker, the third with an alpha and as a file."""
    first, second, third, fourth = (
        reference_image(solid, camera_at(*direction, size))
        for direction, size in zip(DIRECTIONS, (320, 256, 400, 288), strict=True)
    )
    second = second.copy()
    second[..., :3] = 0.75 * second[..., :3]
    return [first, second, encode(third), fourth]


def encode(pixels: np.ndarray, **options) -> np.ndarray:
    """(N,) uint8: a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return np.frombuffer(stream.getvalue(), np.uint8)


def job_of(images, **settings) -> Job:
    settings = Settings(texture_size=1024, **settings)
    more = tuple(Picture(image) for image in images[1:])
    return Job("0" * 32, "Knot", mesh_data(knot()), images[0], settings, more=more)


def run(job, folder, last="refine"):
    folder.mkdir(exist_ok=True)
    stages = StageRunner(folder, lambda *_: None, progress_shares(job))
    with quick_drafts():
        state = run_until(job, stages, last)
    return state, None if last != "refine" else make_result(job, state, stages.seconds)


def psnr_of(state) -> float:
    texels = locate_texels(state.surface, 1024)
    own = state.texture.base_color.reshape(-1, 3)[texels.place].astype(float)
    return float(-10 * np.log10(np.square(own - paint_solid(texels.positions)).mean() / 255**2))


@pytest.fixture(scope="module")
def several(images, tmp_path_factory):
    return run(job_of(images), tmp_path_factory.mktemp("several"))


def test_each_picture_finds_its_own_view(several):
    _, result = several
    pictures = result.report["pictures"]
    assert [each["used"] for each in pictures] == [True] * 4
    for picture, (azimuth, elevation) in zip(pictures[:3], DIRECTIONS, strict=False):
        found = picture["candidates"][0]
        assert abs((found["azimuth"] - azimuth + 180) % 360 - 180) < 3
        assert abs(found["elevation"] - elevation) < 3


def test_the_texture_is_true_where_any_picture_shows_it(several, images, tmp_path):
    state, result = several
    alone, single = run(job_of(images[:1]), tmp_path)
    assert "pictures" not in single.report
    assert psnr_of(state) > psnr_of(alone) + 5
    assert result.report["color_source"]["from_picture"] > 75 > single.report["color_source"]["from_picture"]


def test_a_job_that_is_interrupted_goes_on_to_the_same_texture(several, images, tmp_path):
    run(job_of(images), tmp_path, "paint")
    state, _ = run(job_of(images), tmp_path)
    np.testing.assert_array_equal(state.texture.base_color, several[0].texture.base_color)


def test_an_unreadable_picture_is_left_out_and_told(images, tmp_path):
    job = job_of([images[0], np.arange(99, dtype=np.uint8), images[2]])
    state, _ = run(job, tmp_path, "register")
    assert [each.registration is None for each in state.further] == [True, False]
    assert len(state.registrations) == 2


def test_an_unreadable_picture_ends_a_job_that_stops_on_doubt(images, tmp_path):
    job = job_of([images[0], np.arange(99, dtype=np.uint8)], on_doubt="stop")
    with pytest.raises(InvalidImage, match=r"^Picture 2: "):
        run(job, tmp_path, "register")


def test_pictures_of_other_orientations_and_profiles_are_as_they_are_displayed(solid, images, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by a quarter clockwise.
    turned = encode(np.rot90(reference_image(solid, camera_at(140, 10, 320))), exif=exif)
    state, _ = run(job_of([images[0], turned]), tmp_path, "register")
    view = state.further[0].registration.match.view
    assert abs((view.azimuth - 140 + 180) % 360 - 180) < 3
    assert abs(view.roll) < 3


def test_directions_that_are_given_are_kept(images, tmp_path):
    job = job_of(images[:2])
    job = replace(job, more=(replace(job.more[0], direction=(130.0, 12.0)),))
    state, _ = run(job, tmp_path, "register")
    view = state.further[0].registration.match.view
    assert (view.azimuth, view.elevation) == (130.0, 12.0)


def test_a_check_looks_at_the_first_picture_only(images, tmp_path):
    job = replace(job_of(images[:2]), check_reference=True)
    result = pipeline.run(job, tmp_path, lambda *_: None)
    assert "pictures" not in result.report
    assert len(result.report["candidates"]) >= 1
