"""How well a rendered view explains a reference."""

from dataclasses import replace

import numpy as np
import pytest

from backend.image import resize_longest
from backend.mesh.prepare import clean
from backend.paint.camera.contours.features import COLOR_BINS, observe_image
from backend.paint.camera.contours.score import color_histograms, judge_view, smooth_histogram
from backend.render.rasterize import rasterize
from tests.meshes import knot, mesh_data
from tests.scenes import Scene, chair, photograph, van, view_at

DISPLACEMENTS = [
    {"azimuth": 8},
    {"azimuth": -8},
    {"elevation": 8},
    {"elevation": -8},
    {"zoom": 0.06},
    {"zoom": -0.06},
    {"x": 0.03},
    {"y": -0.03},
    {"roll": 6},
    {"azimuth": 180},
]


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


@pytest.mark.parametrize("name", ["pale chair", "van among other things", "painted knot"])
def test_the_true_view_scores_above_displaced_ones(name):
    make, view, scene = {
        "pale chair": (chair, view_at(35, 20), Scene(paint=(0.9, 0.88, 0.84))),
        "van among other things": (van, view_at(40, 18), Scene(paint=(0.9, 0.9, 0.92), clutter=14)),
        "painted knot": (knot, view_at(30, 15), Scene(clutter=6)),
    }[name]
    surface = clean(mesh_data(make()))
    color, _ = photograph(surface, view, scene)
    seen = observe_image(resize_longest(color, 256))

    def judge(candidate):
        buffer = rasterize(surface.vertices, surface.faces, candidate.camera(*seen.shape))
        return judge_view(candidate, buffer, seen, surface)

    true = judge(view)
    assert 0.4 < true.edge <= 1
    assert 0.4 < true.region <= 1
    for change in DISPLACEMENTS:
        displaced = {field: getattr(view, field) + step for field, step in change.items()}
        assert judge(replace(view, **displaced)).score < true.score - 0.15, change
