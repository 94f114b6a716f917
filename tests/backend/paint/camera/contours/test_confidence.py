"""How likely the best view is right, and how much of the mesh lies outside of the reference."""

from dataclasses import replace

import numpy as np
import pytest

from backend.mesh.prepare import clean
from backend.paint.camera.contours.confidence import (
    continues_to_border,
    cut_off_fraction,
    estimate_confidence,
)
from backend.paint.camera.contours.score import Fit
from tests.meshes import mesh_data
from tests.scenes import bottle, chair, view_at

SHAPE = (288, 320)


@pytest.fixture(scope="module")
def surfaces():
    return {make.__name__: clean(mesh_data(make())) for make in (bottle, chair)}


def fits_of(scores: dict[float, float]) -> list[Fit]:
    """Fits by azimuth, whose only evidence are their edges."""
    return [Fit(view_at(azimuth, 15), edge=edge) for azimuth, edge in scores.items()]


def test_equal_views_of_a_bottle_are_no_rivals(surfaces):
    alone = estimate_confidence(surfaces["bottle"], fits_of({0: 0.9}), SHAPE)
    all_around = estimate_confidence(surfaces["bottle"], fits_of({0: 0.9, 60: 0.9, 150: 0.89}), SHAPE)
    assert all_around == alone
    # Seen from above it is another image.
    above = [*fits_of({0: 0.9}), Fit(view_at(0, 50), edge=0.9)]
    assert estimate_confidence(surfaces["bottle"], above, SHAPE) < alone - 0.1


def test_a_tie_lowers_the_confidence_and_a_lead_raises_it(surfaces):
    confidences = [
        estimate_confidence(surfaces["chair"], fits_of({30: 0.8, 90: rival}), SHAPE)
        for rival in (0.8, 0.78, 0.75, 0.7)
    ]
    assert confidences == sorted(confidences)
    assert confidences[0] < 0.4
    assert confidences[-1] > confidences[0] + 0.3


def test_a_lead_counts_up_to_its_limit(surfaces):
    tie, alone, far, farther = (
        estimate_confidence(surfaces["chair"], fits_of(scores), SHAPE)
        for scores in ({30: 0.9, 90: 0.9}, {30: 0.9}, {30: 0.9, 90: 0.7}, {30: 0.9, 90: 0.1})
    )
    assert tie < alone < far
    # Without another view, as with a given direction, less is known than with one far behind.
    assert far == farther


def test_what_explains_another_thing_nearly_as_well_is_a_rival(surfaces):
    # A bottle lies beside a ball, which is what a bottle looks like from above.
    from_above = replace(view_at(0, 85), zoom=0.15, x=0.85, y=0.15)
    here, there = [Fit(view_at(0, 15), edge=0.8)], [Fit(from_above, edge=0.9)]
    beside_it, alone = (
        estimate_confidence(surfaces["bottle"], fits, SHAPE) for fits in (there + here, there)
    )
    assert alone > 0.5 > beside_it
    # The same two views of one thing are not in doubt.
    same_place = [Fit(view_at(0, 85), edge=0.9), *here]
    assert estimate_confidence(surfaces["bottle"], same_place, SHAPE) > beside_it + 0.2


def test_a_view_from_high_above_needs_more_to_be_believed(surfaces):
    usual, high, below, given = (
        estimate_confidence(
            surfaces["chair"],
            [Fit(view_at(0, elevation), edge=0.85), Fit(view_at(90, 20), edge=0.8)][:count],
            SHAPE,
        )
        for elevation, count in ((60, 2), (80, 2), (-60, 2), (80, 1))
    )
    assert usual > high + 0.2
    assert usual > below + 0.2
    assert given > high + 0.2


def test_a_low_score_is_no_confidence_even_alone(surfaces):
    low, high = (estimate_confidence(surfaces["chair"], fits_of({30: edge}), SHAPE) for edge in (0.2, 0.9))
    assert low < 0.1
    assert high > 0.8


def test_rivals_are_compared_on_very_wide_images_too(surfaces):
    fits = fits_of({30: 0.9, 90: 0.9})
    assert 0 <= estimate_confidence(surfaces["chair"], fits, (60, 2000)) <= 1


def test_the_fraction_outside_of_the_image_is_measured(surfaces):
    middle = view_at(0, 10)
    assert cut_off_fraction(surfaces["bottle"], middle, SHAPE) == 0
    # A bottle whose axis is the border is half outside.
    for side in ({"x": 0.0}, {"x": 1.0}):
        assert cut_off_fraction(surfaces["bottle"], replace(middle, **side), SHAPE) == pytest.approx(
            0.5, abs=0.03
        )
    assert 0.2 < cut_off_fraction(surfaces["bottle"], replace(middle, y=1.0), SHAPE) < 0.8
    assert cut_off_fraction(surfaces["bottle"], replace(middle, zoom=1.0), (60, 2000)) > 0.4


def test_few_pixels_of_the_reference_show_too_little(surfaces):
    fits = fits_of({30: 0.9})
    large, small, tiny = (
        estimate_confidence(surfaces["chair"], fits, shape) for shape in (SHAPE, (80, 80), (16, 16))
    )
    assert large > 0.8
    assert small == pytest.approx(large, abs=0.01)
    assert 0 < tiny < 0.4


def test_a_mask_beyond_which_the_object_goes_on_is_told():
    foreground, part, whole = (np.zeros((100, 140), bool) for _ in range(3))
    foreground[30:90, 60:] = True
    part[40:70, 80:110] = True
    whole[30:90, 60:] = True
    assert continues_to_border(part, foreground)
    # The whole of it, or a part of a thing that ends inside of the image, or hardly anything beside it.
    assert not continues_to_border(whole, foreground)
    inside = foreground.copy()
    inside[:, 130:] = False
    assert not continues_to_border(part, inside)
    shadow = part.copy()
    shadow[66:75, 80:] = True
    assert not continues_to_border(part, shadow)
