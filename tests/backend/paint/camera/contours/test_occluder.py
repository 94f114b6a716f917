"""What is in front of the object, such as the hand that holds it, is no part of it."""

import cv2
import numpy as np
import pytest

from backend.mesh.prepare import clean
from backend.paint.camera.contours.occluder import find_occluder
from backend.paint.camera.registration import register_reference
from backend.paint.camera.view import angle_between
from tests.meshes import ignore_progress, mesh_data
from tests.scenes import Scene, chair, mug, photograph, reference_of, van, view_at

DIRECTION = (35.0, 20.0)
SKIN = (0.8, 0.55, 0.45)


def draw_bar(shape: tuple[int, int], start: tuple[int, int], end: tuple[int, int], width: int) -> np.ndarray:
    """(H, W) bool: a bar with round ends, in pixels, column and row."""
    return cv2.line(np.zeros(shape, np.uint8), start, end, 1, width) > 0


def photograph_van(zoom: float = 0.55):
    surface = clean(mesh_data(van()))
    color, mask = photograph(surface, view_at(*DIRECTION, zoom=zoom), Scene(paint=(0.3, 0.5, 0.75)))
    return surface, color, mask


def test_a_bar_from_the_border_across_the_object_is_found_as_far_as_it_covers_it():
    _, color, mask = photograph_van()
    rows, columns = np.nonzero(mask)
    bar = draw_bar(mask.shape, (0, int(rows.mean())), (int(columns.mean()), int(rows.mean())), 24)
    color[bar] = SKIN
    occluder = find_occluder(mask, color)
    expected = bar & mask
    assert expected.sum() > 500
    assert (occluder & expected).sum() / (occluder | expected).sum() > 0.85


def test_two_fingers_with_a_gap_between_them_are_found():
    _, color, mask = photograph_van()
    rows, columns = np.nonzero(mask)
    middle = int(rows.mean())
    bars = [
        draw_bar(mask.shape, (0, middle + row), (int(columns.mean()), middle + row), 14) for row in (-8, 8)
    ]
    color[bars[0] | bars[1]] = SKIN
    occluder = find_occluder(mask, color)
    assert min(occluder[bar & mask].mean() for bar in bars) > 0.9
    assert occluder[mask & ~bars[0] & ~bars[1]].mean() < 0.1


def test_a_bar_that_does_not_come_from_the_border_is_paint():
    _, color, mask = photograph_van()
    rows, columns = np.nonzero(mask)
    start = int(columns.min()) - 20, int(rows.mean())
    assert start[0] > 12
    color[draw_bar(mask.shape, start, (int(columns.mean()), int(rows.mean())), 24)] = SKIN
    assert not find_occluder(mask, color).any()


def test_a_bar_behind_the_object_covers_nothing_of_it():
    _, color, mask = photograph_van()
    rows, _ = np.nonzero(mask)
    bar = draw_bar(mask.shape, (0, int(rows.mean())), (mask.shape[1], int(rows.mean())), 24)
    color[bar & ~mask] = SKIN
    assert not find_occluder(mask, color).any()


@pytest.mark.parametrize("make", [chair, mug, van])
@pytest.mark.parametrize("paint", [None, (0.92, 0.92, 0.92), (0.1, 0.1, 0.12)])
def test_nothing_is_in_front_of_an_object_on_a_ground(make, paint):
    surface = clean(mesh_data(make()))
    color, mask = photograph(surface, view_at(*DIRECTION), Scene(paint=paint, shadow=0.6))
    assert not find_occluder(mask, color).any()


def test_an_empty_or_a_full_silhouette_is_not_covered():
    color = np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)
    for mask in (np.zeros((40, 60), bool), np.ones((40, 60), bool)):
        assert not find_occluder(mask, color).any()


def test_a_held_object_is_registered_without_the_hand_and_that_is_said():
    surface, color, mask = photograph_van()
    rows, columns = np.nonzero(mask)
    tip = int(columns.min() + 0.3 * np.ptp(columns)), int(rows.mean())
    bar = draw_bar(mask.shape, (0, int(rows.mean())), tip, 24)
    color[bar] = SKIN
    found = register_reference(surface, reference_of(color), None, ignore_progress)
    assert angle_between(*DIRECTION, found.match.view) < 3
    own = found.reference.alpha > 0.5
    assert own[bar & mask].mean() < 0.1
    visible = mask & ~bar
    assert (own & visible).sum() / (own | visible).sum() > 0.93
    [note] = [note for note in found.reference.mask_notes if "hand" in note]
    assert note.startswith("Something in front of the object")
