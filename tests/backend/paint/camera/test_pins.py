"""Pins place the camera and bend the reference."""

import numpy as np
import pytest

from backend.paint.bend import bend_reference
from backend.paint.camera.pins import fit_view
from backend.paint.camera.view import View, angle_between
from backend.paint.reference import Reference

SIZE = (600, 400)
CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.4, 0.4) for z in (-0.3, 0.3)])


def places_of(view: View, points: np.ndarray) -> np.ndarray:
    return view.camera(*SIZE).project(points)[0] / SIZE


@pytest.mark.parametrize(
    "view",
    [
        View(30, 10, 0, 2.5, 0.5, 0.5, 0.5),
        View(-140, 35, 3, 2.0, 0.3, 0.7, 0.35),
        View(80, -20, -4, 4.0, 0.8, 0.2, 0.6),
    ],
)
@pytest.mark.parametrize("count", [4, 6, 8])
def test_pins_fix_camera_size_and_place(view, count):
    points = CORNERS[np.random.default_rng(count).permutation(8)[:count]]
    start = view.azimuth + 9, view.elevation - 7
    found = fit_view(points, places_of(view, points), start, SIZE)
    assert angle_between(view.azimuth, view.elevation, found) < 6
    # Those without a pin, too, lie near where the true camera sees them.
    miss = (places_of(found, CORNERS) - places_of(view, CORNERS)) * SIZE
    assert np.abs(miss).max() < (0.04 if count == 4 else 0.015) * max(SIZE)


def test_the_image_is_bent_onto_the_pins():
    view = View(0, 0, 0, 2.5, 0.5, 0.5, 0.5)
    points = np.array(
        [(-0.4, -0.4, -0.3), (0.4, -0.4, -0.3), (-0.4, -0.4, 0.3), (0.4, -0.4, 0.3), (0, -0.4, 0)]
    )
    seen = places_of(view, points)
    shown = seen + np.array([(0.02, 0), (-0.01, 0.01), (0, 0.03), (0.015, -0.02), (-0.02, 0.02)])
    # A spot of its own brightness at each place of the image.
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    color = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    for number, (x, y) in enumerate(shown * SIZE):
        color[np.hypot(columns - x, rows - y) < 6] = 0.2 + 0.15 * number
    bent = bend_reference(
        Reference(color, np.ones(color.shape[:2], np.float32)), view.camera(*SIZE), points, shown
    )
    for number, (x, y) in enumerate(seen * SIZE):
        assert bent.color[int(y), int(x), 0] == pytest.approx(0.2 + 0.15 * number, abs=0.02)


def test_pins_that_fit_bend_nothing():
    view = View(20, 15, 0, 2.5, 0.5, 0.5, 0.5)
    color = np.random.default_rng(0).random((SIZE[1], SIZE[0], 3)).astype(np.float32)
    reference = Reference(color, np.ones(color.shape[:2], np.float32))
    bent = bend_reference(reference, view.camera(*SIZE), CORNERS, places_of(view, CORNERS))
    np.testing.assert_allclose(bent.color, color, atol=1e-3)
