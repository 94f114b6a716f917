"""What of the reference is trusted."""

import numpy as np
import pytest

from backend.paint.draft.image.projection import mean_outline_distance

ROWS, COLUMNS = np.mgrid[:200, :240]
DISC = np.hypot(ROWS - 100, COLUMNS - 120) < 60


def test_outlines_that_are_apart_all_around_are_measured_in_pixels():
    larger = np.hypot(ROWS - 100, COLUMNS - 120) < 63
    assert mean_outline_distance(DISC, DISC) == 0
    assert mean_outline_distance(larger, DISC) == pytest.approx(3, abs=0.7)
    assert mean_outline_distance(DISC, larger) == pytest.approx(3, abs=0.7)


def test_what_something_in_front_covers_is_no_mismatch():
    covered = (np.abs(ROWS - 100) < 18) & (COLUMNS < 130)
    assert (DISC & covered).sum() > 0.15 * DISC.sum()
    assert mean_outline_distance(DISC & ~covered, DISC) < 0.1


def test_a_mismatch_at_the_border_of_the_image_counts():
    right = COLUMNS > 150
    above = (ROWS < 4) & (COLUMNS < 150)
    assert mean_outline_distance(right | above, right) > 0.5
