"""White balance: only a cast that something in the picture gives away is removed."""

import numpy as np
import pytest

from backend.paint.balance import balance_white
from backend.paint.reference import Reference

WARM = np.float32([1.06, 1.0, 0.9])


def studio(cast: np.ndarray, backdrop=(0.75, 0.75, 0.75), grey_part: bool = True) -> Reference:
    """An orange ball with a grey band before a plain backdrop, all under a cast."""
    y, x = np.mgrid[0:160, 0:160]
    color = np.tile(np.float32(backdrop), (160, 160, 1))
    ball = np.hypot(x - 80, y - 80) < 50
    color[ball] = (0.8, 0.4, 0.15)
    if grey_part:
        color[ball & (np.abs(y - 80) < 12)] = (0.4, 0.4, 0.4)
    return Reference(np.clip(color * cast, 0, 1).astype(np.float32), np.ones((160, 160), np.float32))


def off_truth(reference: Reference, truth: Reference) -> float:
    return float(np.abs(reference.color - truth.color).mean())


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_cast_that_backdrop_and_object_share_is_removed(mode):
    picture, truth = studio(WARM), studio(np.ones(3))
    result = balance_white(picture, mode)
    assert off_truth(result, truth) < 0.3 * off_truth(picture, truth)
    assert "White Balance" in result.notes[-1]


def test_without_being_asked_nothing_changes():
    picture = studio(WARM)
    assert balance_white(picture, "off") is picture


def warm_paper() -> Reference:
    return studio(np.ones(3), backdrop=(0.78, 0.75, 0.68))


def cut_out_of_its_backdrop() -> Reference:
    y, x = np.mgrid[0:160, 0:160]
    return studio(WARM).with_alpha((np.hypot(x - 80, y - 80) < 50).astype(np.float32))


@pytest.mark.parametrize(
    "picture",
    [
        studio(np.ones(3)),
        warm_paper(),
        studio(np.ones(3), backdrop=(0.3, 0.5, 0.8)),
        studio(WARM, grey_part=False),
        cut_out_of_its_backdrop(),
    ],
    ids=[
        "no cast",
        "only the backdrop is warm",
        "a blue backdrop",
        "nothing grey on the object",
        "no backdrop",
    ],
)
def test_where_the_evidence_is_weak_the_automatic_leaves_the_picture_alone(picture):
    assert balance_white(picture, "auto") is picture


def test_when_asked_a_picture_without_backdrop_is_balanced_by_half_of_what_the_object_says():
    cool = np.float32([0.85, 1.0, 1.15])
    picture = cut_out_of_its_backdrop()
    grey = Reference(np.broadcast_to(np.float32(0.5) * cool, (160, 160, 3)).copy(), picture.alpha)
    result = balance_white(grey, "on").color[80, 80]
    assert 0.3 < np.ptp(result) / np.ptp(grey.color[80, 80]) < 0.7
