"""Whether a reference shows the mesh's shape twice."""

from dataclasses import replace

import numpy as np
import pytest

from backend.image import resize_longest
from backend.mesh.prepare import clean
from backend.paint.camera.contours.contour_fit import fit_view
from backend.paint.camera.contours.features import observe_image
from backend.paint.camera.contours.second_object import SecondObjectConfig, shows_second_object
from tests.meshes import mesh_data
from tests.scenes import Scene, bottle, photograph, van, view_at

SCENE = Scene(paint=(0.3, 0.4, 0.7))
FIRST = view_at(35, 20, zoom=0.32, x=0.27)


@pytest.fixture(scope="module")
def mesh():
    return clean(mesh_data(van()))


def see_second(mesh, color: np.ndarray) -> bool:
    """Whether one is seen besides the first; of the directions fewer are tried than in a job."""
    fit = fit_view(mesh, observe_image(resize_longest(color, 320)), FIRST, (3,), (0.0,))
    return shows_second_object(mesh, color, fit, SecondObjectConfig(direction_step=6))


def test_a_copy_beside_the_object_is_seen(mesh):
    """Another of the same kind, from another side."""
    left, _ = photograph(mesh, FIRST, SCENE, (240, 400))
    right, mask = photograph(mesh, replace(FIRST, azimuth=-50, x=0.73), SCENE, (240, 400))
    both = np.where(np.arange(400)[None, :, None] < 200, left, right)
    assert not mask[:, :200].any()
    assert see_second(mesh, both)


def test_an_object_alone_has_no_second(mesh):
    color, _ = photograph(mesh, FIRST, SCENE, (240, 400))
    assert not see_second(mesh, color)


def test_another_thing_beside_the_object_is_no_second(mesh):
    left, _ = photograph(mesh, FIRST, SCENE, (240, 400))
    right, _ = photograph(clean(mesh_data(bottle())), replace(FIRST, x=0.73), SCENE, (240, 400))
    assert not see_second(mesh, np.where(np.arange(400)[None, :, None] < 200, left, right))
