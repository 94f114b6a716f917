"""How a job's progress is divided among its stages."""

from dataclasses import replace

import numpy as np
import pytest

from backend.api.job import Job, Kept, MeshData
from backend.api.settings import Settings
from backend.stages import STAGES, progress_shares


def make_job(triangles: int = 1000, has_uvs: bool = False, **options) -> Job:
    mesh = MeshData(
        np.eye(3, dtype=np.float32),
        np.tile(np.int32([[0, 1, 2]]), (triangles, 1)),
        corner_uvs=np.zeros((triangles, 3, 2), np.float32) if has_uvs else None,
    )
    settings = Settings(
        **{name: value for name, value in options.items() if name in Settings.__annotations__}
    )
    others = {name: value for name, value in options.items() if name not in Settings.__annotations__}
    return replace(Job("0" * 32, "", mesh, np.zeros((4, 4, 4), np.uint8), settings), **others)


KEPT = Kept({"base_color": np.zeros(1, np.uint8)}, np.ones(1000, np.uint8))

VIEWS = {"prepare", "register", "render", "paint", "align", "bake"}


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({}, VIEWS),
        ({"refine": True}, VIEWS | {"refine"}),
        ({"kept": KEPT}, VIEWS | {"blend"}),
        ({"painter": "orbitpainter"}, VIEWS),
        ({"painter": "trellis2"}, {"prepare", "register", "refine"}),
        ({"check_reference": True}, {"prepare", "register"}),
        ({"check_reference": True, "painter": "orbitpainter", "refine": True}, {"prepare", "register"}),
    ],
)
def test_the_stages_that_run_share_the_whole_progress(options, stages):
    shares = progress_shares(make_job(**options))
    assert tuple(shares) == STAGES
    assert {stage for stage, share in shares.items() if share > 0} == stages
    assert sum(shares.values()) == pytest.approx(1)


def test_a_large_mesh_without_uvs_is_mostly_prepared_and_a_large_texture_is_baked_longer():
    plain = progress_shares(make_job())
    assert progress_shares(make_job(1_000_000))["prepare"] > 0.5
    assert progress_shares(make_job(1_000_000, has_uvs=True))["prepare"] < 0.1
    assert progress_shares(make_job(texture_size=8192))["bake"] > 2 * plain["bake"]
