"""How well a rendered view explains a reference."""

from dataclasses import replace

import pytest

from backend.image import resize_longest
from backend.mesh.prepare import clean
from backend.paint.camera.contours.features import observe_image
from backend.paint.camera.contours.rendered_view import render_view
from backend.paint.camera.contours.score import judge_view
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
        return judge_view(render_view(surface, candidate, seen), seen)

    true = judge(view)
    assert 0.4 < true.edge <= 1
    assert 0.4 < true.region <= 1
    for change in DISPLACEMENTS:
        displaced = {field: getattr(view, field) + step for field, step in change.items()}
        assert judge(replace(view, **displaced)).score < true.score - 0.15, change
