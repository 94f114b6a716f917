"""Colours of the object and of what surrounds it."""

import numpy as np
import pytest

from backend.paint.camera.contours.features import COLOR_BINS
from backend.paint.camera.contours.histograms import color_histograms, histogram_distance, smooth_histogram


def test_histograms_of_inside_and_around_sum_to_one():
    rng = np.random.default_rng(0)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    bins = rng.integers(0, COLOR_BINS**3, mask.shape).astype(np.int32)
    inside, around = color_histograms(mask, bins)
    for histogram in (inside, around):
        assert histogram.shape == (COLOR_BINS**3,)
        assert histogram.sum() == pytest.approx(1, abs=1e-5)
        assert histogram.min() >= 0


def test_what_is_far_from_the_silhouette_is_not_its_surroundings():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    bins = np.zeros(mask.shape, np.int32)
    bins[:20] = COLOR_BINS**3 - 1
    _, around = color_histograms(mask, bins)
    assert around[-1] == 0
    assert around[0] > 0.1


def test_a_colour_is_spread_over_its_neighbours():
    counts = np.zeros((COLOR_BINS,) * 3, np.float32)
    counts[5, 6, 7] = 40
    smooth = smooth_histogram(counts.ravel()).reshape(counts.shape)
    assert smooth[5, 6, 7] == pytest.approx(1 / 8)
    assert smooth[4, 6, 7] == smooth[5, 6, 8] == pytest.approx(1 / 16)
    assert smooth[4, 5, 8] == pytest.approx(1 / 64)
    assert (smooth > 0).sum() == 27
    # At the border of the cube nothing is lost.
    counts[:] = 0
    counts[0, 0, 0] = 40
    smooth = smooth_histogram(counts.ravel())
    assert smooth.sum() == pytest.approx(1)
    assert smooth[0] == pytest.approx((3 / 4) ** 3)


def test_a_histogram_of_nothing_is_zero():
    assert not smooth_histogram(np.zeros(COLOR_BINS**3, np.float32)).any()


def test_equal_histograms_are_no_distance_apart_others_up_to_one():
    first, second = np.float32([0.5, 0.5, 0, 0]), np.float32([0, 0, 0.25, 0.75])
    assert histogram_distance(first, first) == pytest.approx(0)
    assert histogram_distance(first, second) == pytest.approx(1)
    assert histogram_distance(first, np.float32([0.5, 0, 0.5, 0])) == pytest.approx(0.5)
