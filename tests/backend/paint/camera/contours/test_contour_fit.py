"""Views pulled onto a reference."""

from dataclasses import replace

import pytest

from backend.image import resize_longest
from backend.mesh.prepare import clean
from backend.paint.camera.contours.contour_fit import fit_view
from backend.paint.camera.contours.features import observe_image
from backend.paint.camera.view import angle_between
from tests.meshes import mesh_data
from tests.scenes import Scene, chair, photograph, van, view_at

REACHES, COLOR_WEIGHTS = (8, 6, 4, 3), (0.0, 0.05)


@pytest.fixture(scope="module", params=["a dark chair", "a pale van among other things"])
def seen(request):
    """A mesh, the view of a reference of it, and that reference."""
    if "chair" in request.param:
        surface, view, scene = clean(mesh_data(chair())), view_at(35, 20), Scene(paint=(0.3, 0.25, 0.2))
    else:
        surface, view = clean(mesh_data(van())), view_at(40, 18)
        scene = Scene(paint=(0.9, 0.9, 0.92), clutter=14)
    color, _ = photograph(surface, view, scene)
    return surface, view, observe_image(resize_longest(color, 256))


@pytest.mark.parametrize(("azimuth", "elevation", "x"), [(5, 0, 0.0), (-4, 4, 0.01), (0, -4, -0.015)])
def test_a_view_a_few_degrees_beside_is_pulled_back(seen, azimuth, elevation, x):
    surface, view, image = seen
    start = replace(
        view, azimuth=view.azimuth + azimuth, elevation=view.elevation + elevation, x=view.x + x, zoom=0.53
    )
    fit = fit_view(surface, image, start, REACHES, COLOR_WEIGHTS)
    assert angle_between(view.azimuth, view.elevation, start) > 3
    assert angle_between(view.azimuth, view.elevation, fit.view) < 1.5
    assert abs(fit.view.zoom / view.zoom - 1) < 0.03
    assert abs(fit.view.x - view.x) < 0.01
    assert fit.score > fit_view(surface, image, start, (), (0.0,)).score


def test_a_kept_direction_is_kept_exactly(seen):
    surface, view, image = seen
    start = replace(view, azimuth=view.azimuth + 0.1, roll=0.7, x=view.x + 0.02, zoom=0.5)
    fit = fit_view(surface, image, start, REACHES, COLOR_WEIGHTS, keep_direction=True)
    assert (fit.view.azimuth, fit.view.elevation, fit.view.roll) == (
        start.azimuth,
        start.elevation,
        start.roll,
    )
    assert abs(fit.view.x - view.x) < 0.01
    assert abs(fit.view.zoom / view.zoom - 1) < 0.04


def test_the_same_input_gives_the_same_bits(seen):
    surface, view, image = seen
    start = replace(view, azimuth=view.azimuth + 4, x=view.x + 0.01)
    first, second = (fit_view(surface, image, start, REACHES, COLOR_WEIGHTS) for _ in range(2))
    assert first.view.parameters().tobytes() == second.view.parameters().tobytes()
    assert first == second


def test_a_view_of_nothing_scores_nothing(seen):
    surface, view, image = seen
    beside = replace(view, x=4.0)
    fit = fit_view(surface, image, beside, REACHES, COLOR_WEIGHTS)
    assert (fit.view, fit.score) == (beside, 0.0)
