"""Pins through a job: they place the reference and bend it."""

import numpy as np
import pytest
import trimesh

from backend.api.job import Job, MeshData
from backend.api.settings import Settings
from backend.paint.camera.view import View, angle_between
from backend.pipeline import run_until
from backend.stages import StageRunner, progress_shares


@pytest.mark.usefixtures("quick_draft")
def test_pins_place_the_picture_and_bend_it(tmp_path):
    """A cube's picture, displaced and small before a cluttered ground, with pins at its corners: its colours
    lie where the pins say, though the outline says nothing."""
    box = trimesh.creation.box((1, 1, 1))
    mesh = MeshData(box.vertices.astype(np.float32), box.faces.astype(np.int32))
    view = View(0, 0, 0, 2.5, 0.3, 0.3, 0.6)
    corners = np.array([(x, -0.5, z) for x in (-0.5, 0.5) for z in (-0.5, 0.5)])
    camera = view.camera(256, 256)
    places = camera.project(corners)[0]
    rng = np.random.default_rng(0)
    picture = np.full((256, 256, 4), 255, np.uint8)
    picture[..., :3] = rng.integers(0, 255, (16, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    (left, top), (right, bottom) = (
        places.min(axis=0).round().astype(int),
        places.max(axis=0).round().astype(int),
    )
    middle = (left + right) // 2
    picture[top:bottom, left:middle, :3], picture[top:bottom, middle:right, :3] = (220, 30, 30), (30, 30, 220)
    pins = np.column_stack([corners, places / 256]).astype(np.float32)
    settings = Settings(texture_size=1024, azimuth=8.0, elevation=-5.0, light="keep")
    job = Job("0" * 32, "Cube", mesh, picture, settings, pins=pins)
    state = run_until(job, StageRunner(tmp_path, lambda *_: None, progress_shares(job)), "paint")
    assert not state.registration.doubtful
    assert angle_between(0, 0, state.registration.match.view) < 5
    frame = state.painting.frames[0]
    seen = state.registration.match.view.camera(*frame.shape[1::-1])
    for x, wanted in (
        (-0.35, (220, 30, 30)),
        (-0.1, (220, 30, 30)),
        (0.1, (30, 30, 220)),
        (0.35, (30, 30, 220)),
    ):
        for z in (-0.4, 0.0, 0.4):
            column, row = seen.project(np.array([[x, -0.5, z]]))[0][0].astype(int)
            assert np.abs(frame[row, column].astype(int) - wanted).max() < 25, (x, z)
