"""Cameras as seven numbers, and how their images move with each."""

import numpy as np
import pytest

from backend.paint.camera.view import View
from backend.render.camera import Camera, look_at_origin


@pytest.mark.parametrize(
    "view", [View(35, -20, 12, 2.1, 0.7, 0.4, 0.55), View(-170, 80, -5, 1.3, 0.3, 0.9, 0.1)]
)
def test_the_jacobian_of_a_view_is_that_of_small_steps(view):
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (20, 3))
    jacobian = view.project_jacobian(points, 300, 200)
    for parameter, step in enumerate(1e-5 * np.eye(7)):
        after, before = (
            View.from_parameters(view.parameters() + sign * step).camera(300, 200).project(points)[0]
            for sign in (1, -1)
        )
        np.testing.assert_allclose(jacobian[..., parameter], (after - before) / 2e-5, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("orthographic", [False, True])
def test_unprojecting_undoes_projecting(orthographic):
    rotation = look_at_origin(40, 25, 7)
    camera = Camera(rotation, 2.5 * rotation[:, 2], 1.3, (0.4, 0.6), 320, 200, orthographic)
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (30, 3))
    np.testing.assert_allclose(camera.unproject(*camera.project(points)), points, atol=1e-12)
