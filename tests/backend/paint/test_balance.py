"""White balance: only a cast that something in the image confirms is removed."""

import numpy as np
import pytest

from backend.paint.balance import balance_white
from backend.paint.reference import Reference

WARM = np.float32([1.06, 1.0, 0.9])


def studio(cast: np.ndarray, backdrop=(0.75, 0.75, 0.75), grey_part: bool = True) -> Reference:
    """An orange ball with a grey band in front of a plain backdrop, all under a colour cast."""
    y, x = np.mgrid[0:160, 0:160]
    color = np.tile(np.float32(backdrop), (160, 160, 1))
    ball = np.hypot(x - 80, y - 80) < 50
    color[ball] = (0.8, 0.4, 0.15)
    if grey_part:
        color[ball & (np.abs(y - 80) < 12)] = (0.4, 0.4, 0.4)
    return Reference(np.clip(color * cast, 0, 1).astype(np.float32), np.ones((160, 160), np.float32))


def error_of(reference: Reference, truth: Reference) -> float:
    return float(np.abs(reference.color - truth.color).mean())


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_cast_that_backdrop_and_object_share_is_removed(mode):
    reference, truth = studio(WARM), studio(np.ones(3))
    result = balance_white(reference, mode)
    assert error_of(result, truth) < 0.3 * error_of(reference, truth)
    assert "White Balance" in result.notes[-1]


def test_white_balance_off_changes_nothing():
    reference = studio(WARM)
    assert balance_white(reference, "off") is reference


def warm_paper() -> Reference:
    return studio(np.ones(3), backdrop=(0.78, 0.75, 0.68))


def cut_out_of_its_backdrop() -> Reference:
    y, x = np.mgrid[0:160, 0:160]
    return studio(WARM).with_alpha((np.hypot(x - 80, y - 80) < 50).astype(np.float32))


@pytest.mark.parametrize(
    "reference",
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
def test_automatic_white_balance_changes_nothing_on_weak_evidence(reference):
    assert balance_white(reference, "auto") is reference


def test_white_balance_on_removes_half_the_cast_without_a_backdrop():
    cool = np.float32([0.85, 1.0, 1.15])
    reference = cut_out_of_its_backdrop()
    grey = Reference(np.broadcast_to(np.float32(0.5) * cool, (160, 160, 3)).copy(), reference.alpha)
    result = balance_white(grey, "on").color[80, 80]
    assert 0.3 < np.ptp(result) / np.ptp(grey.color[80, 80]) < 0.7
