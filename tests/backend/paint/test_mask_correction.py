"""A mask that is corrected by strokes: it follows them where they were drawn, and nowhere else."""

import numpy as np
import pytest

from backend.api.picture import GROUND_STROKE, OBJECT_STROKE
from backend.paint.mask_correction import correct_mask, correct_reference
from backend.paint.outline_image import DIMMED, draw_outline, make_outline_preview
from backend.paint.reference import Reference

HEIGHT, WIDTH = 120, 160


@pytest.fixture
def color() -> np.ndarray:
    """A red disc and a blue square on a grey ground with a little noise."""
    image = np.full((HEIGHT, WIDTH, 3), 0.6, np.float32)
    image[disc()] = (0.8, 0.1, 0.1)
    image[square()] = (0.1, 0.1, 0.8)
    return np.clip(image + np.random.default_rng(0).normal(0, 0.02, image.shape), 0, 1).astype(np.float32)


def disc() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - 60) ** 2 + (columns - 45) ** 2 < 30**2


def square() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[40:80, 100:140] = True
    return mask


def strokes(label: int, rows: slice, columns: slice) -> np.ndarray:
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[rows, columns] = label
    return drawn


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    solid = mask > 0.5
    return (solid & truth).sum() / (solid | truth).sum()


def test_a_ground_stroke_removes_what_it_touches_and_nothing_else(color):
    before = (disc() | square()).astype(np.float32) * 0.9
    after = correct_mask(color, before, strokes(GROUND_STROKE, slice(58, 62), slice(110, 130)))
    assert overlap(after, disc()) > 0.98
    np.testing.assert_array_equal(after[:, :90], before[:, :90])


def test_an_object_stroke_adds_what_it_touches(color):
    after = correct_mask(
        color, disc().astype(np.float32), strokes(OBJECT_STROKE, slice(58, 62), slice(110, 130))
    )
    assert overlap(after, disc() | square()) > 0.98


def test_a_stroke_in_the_colour_of_the_ground_does_not_turn_all_of_it(color):
    pale = np.clip(0.6 + np.random.default_rng(0).normal(0, 0.02, color.shape), 0, 1).astype(np.float32)
    pale[disc()] = (0.8, 0.1, 0.1)
    drawn = strokes(OBJECT_STROKE, slice(20, 24), slice(30, 60))  # on the ground, above the disc
    after = correct_mask(pale, disc().astype(np.float32), drawn)
    assert (after[drawn > 0] == 1).all()
    np.testing.assert_array_equal(after[:, 100:], 0)
    np.testing.assert_array_equal(after[70:], disc()[70:])


def test_a_box_around_one_of_two_things_finds_that_one(color):
    outside = np.full((HEIGHT, WIDTH), GROUND_STROKE, np.uint8)
    outside[30:90, 92:148] = 0
    reference = Reference(color, np.ones((HEIGHT, WIDTH), np.float32))
    corrected = correct_reference(reference, outside)
    assert overlap(corrected.alpha, square()) > 0.95
    assert not corrected.segmented
    outside[58:62, 110:114] = GROUND_STROKE  # a ground stroke in the box
    assert (correct_reference(reference, outside).alpha[58:62, 110:114] == 0).all()


def test_strokes_without_a_mask_correct_the_object_that_is_found(color):
    reference = Reference(color, np.ones((HEIGHT, WIDTH), np.float32))
    drawn = strokes(GROUND_STROKE, slice(116, 124), slice(220, 260))
    drawn = np.pad(drawn, ((0, 120), (0, 160)))
    drawn[116:124, 220:260] = GROUND_STROKE  # drawn at twice the size
    assert overlap(correct_reference(reference, drawn).alpha, disc()) > 0.95


@pytest.mark.parametrize(("label", "value"), [(OBJECT_STROKE, 1), (GROUND_STROKE, 0)])
def test_an_image_that_is_painted_over_whole_has_that_label(color, label, value):
    after = correct_mask(color, disc().astype(np.float32), strokes(label, slice(None), slice(None)))
    assert (after == value).all()


def test_the_outline_image_is_dimmed_outside_and_bright_at_the_outline(color):
    reference = Reference(color, disc().astype(np.float32))
    image = draw_outline(reference).astype(int)
    shown = np.round(255 * color).astype(int)
    np.testing.assert_array_equal(image[60, 45], shown[60, 45])
    np.testing.assert_allclose(image[60, 120], DIMMED * shown[60, 120] @ (0.299, 0.587, 0.114), atol=1)
    assert image[60, 74].min() < 120 < image[60, 74].max()
    picture, mask = make_outline_preview(reference)
    np.testing.assert_array_equal(picture[:HEIGHT, :WIDTH], image)
    assert set(np.unique(mask)) == {0, 255}
