"""Jobs with several pictures."""

import numpy as np
import pytest
import trimesh

from backend.api.errors import InvalidTarget, ProtocolError
from backend.api.job import Job
from backend.api.picture import MAX_PICTURES, SIDES, Picture, find_side
from backend.api.settings import Settings
from tests.meshes import mesh_data

IMAGE = np.zeros((20, 24, 4), np.uint8)


def job_of(*more: Picture, **fields) -> Job:
    return Job("0" * 32, "Box", mesh_data(trimesh.creation.box()), IMAGE, Settings(), more=more, **fields)


def test_a_job_with_one_picture_is_sent_as_before():
    assert set(job_of().arrays()) == {"vertices", "faces", "reference"}


@pytest.mark.parametrize("side", [None, *SIDES])
def test_pictures_come_back_as_they_were_sent(side):
    pins = np.arange(10, dtype=np.float32).reshape(2, 5)
    sent = job_of(
        Picture(IMAGE[..., 0].ravel(), mask=IMAGE[..., 3], direction=(40.0, -5.5), side=side, pins=pins),
        Picture(IMAGE.astype(np.float32), strokes=np.ones((3, 4), np.uint8)),
        side=side,
    )
    received = Job.from_parts(sent.body(), sent.arrays())
    assert received.side == side
    assert len(received.pictures) == 3
    for before, after in zip(sent.pictures, received.pictures, strict=True):
        assert (before.direction, before.side) == (after.direction, after.side)
        for name in ("image", "mask", "strokes", "pins"):
            one, other = getattr(before, name), getattr(after, name)
            assert (one is None) == (other is None)
            if one is not None:
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)


def test_too_many_pictures_are_named():
    job_of(*[Picture(IMAGE)] * (MAX_PICTURES - 1))
    with pytest.raises(InvalidTarget, match=f"{MAX_PICTURES + 1} pictures of Box"):
        job_of(*[Picture(IMAGE)] * MAX_PICTURES)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("picture.2.image", IMAGE),
        ("picture.1.mask", IMAGE[..., 0]),
        ("picture.1.color", IMAGE),
        ("picture.one.image", IMAGE),
        ("picture.1.image", IMAGE[..., 0].astype(np.int32)),
        ("side", np.array([len(SIDES)], np.int32)),
        ("side", np.array([-1], np.int32)),
        ("side", np.array([0.0], np.float32)),
    ],
)
def test_damaged_pictures_are_refused(name, array):
    sent = job_of()
    with pytest.raises(ProtocolError):
        Job.from_parts(sent.body(), sent.arrays() | {name: array})


@pytest.mark.parametrize("direction", [(np.nan, 0.0), (0.0, np.inf)])
def test_a_direction_that_is_no_number_is_refused(direction):
    with pytest.raises(ProtocolError):
        Picture(IMAGE, direction=direction)


def test_pins_need_a_direction():
    with pytest.raises(ProtocolError):
        Picture(IMAGE, pins=np.zeros((4, 5), np.float32))


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("Hat.back", "back"),
        ("hat_left", "left"),
        ("HAT-RIGHT", "right"),
        ("HatTop 2", "top"),
        ("front of the house, rear", "back"),
        ("backpack", None),
        ("Hat.1", None),
        ("copyright", None),
        ("", None),
    ],
)
def test_a_name_says_which_side_a_picture_shows(name, side):
    assert find_side(name) == side
