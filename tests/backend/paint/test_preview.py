"""Previews of the orbits: which frames, how large, and when they are shown."""

import numpy as np
import pytest

from backend import pipeline
from backend.api.job import Job
from backend.api.settings import Settings
from backend.paint.preview import PREVIEW_COUNT, PREVIEW_SIZE, make_preview_strip
from tests.meshes import knot, mesh_data

pytestmark = pytest.mark.usefixtures("quick_draft")


@pytest.mark.parametrize(("frames", "chosen"), [(1, [0]), (3, [0, 1, 2]), (16, [0, 2, 4, 6, 8, 10, 12, 14])])
def test_previews_are_spread_evenly_over_all_frames(frames, chosen):
    shown = make_preview_strip([np.full((100, 100, 3), 10 * number, np.uint8) for number in range(frames)])
    assert (shown == 10 * np.array(chosen, np.uint8)[:, None, None, None]).all()


def test_a_preview_of_a_wide_frame_keeps_its_shape_between_black_bars():
    shown = make_preview_strip([np.full((64, 256, 3), 200, np.uint8)])[0]
    rows = (shown == 200).all(axis=(1, 2))
    assert np.flatnonzero(rows).tolist() == list(range(PREVIEW_SIZE * 3 // 8, PREVIEW_SIZE * 5 // 8))
    assert (shown[~rows] == 0).all()


def test_draft_previews_are_shown_while_it_is_painted_and_when_it_is_done(tmp_path):
    image = np.full((96, 96, 4), 255, np.uint8)
    image[..., :2] = 30
    image[:20, :, 3] = image[-20:, :, 3] = 0
    job = Job("0" * 32, "knot", mesh_data(knot()), image, Settings(texture_size=1024, voxel_resolution=128))
    shown, stages = [], []
    pipeline.run(
        job,
        tmp_path,
        lambda stage, fraction: stages.append(stage),
        lambda images: shown.append((stages[-1], images)),
    )
    assert len(shown) > 2
    assert {stage for stage, _ in shown} == {"paint"}
    assert all(images.shape == (PREVIEW_COUNT, PREVIEW_SIZE, PREVIEW_SIZE, 3) for _, images in shown)
    assert shown[-1][1][..., 2].max() > shown[-1][1][..., 0].max() + 100
    again = []
    pipeline.run(job, tmp_path, lambda stage, fraction: None, again.append)
    np.testing.assert_array_equal(again, [shown[-1][1]])
