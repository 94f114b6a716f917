"""The camera that draws the projection in the viewport is the one that the worker found."""

import importlib

import numpy as np
import pytest

from backend.api.job import MeshData
from backend.mesh.prepare import clean
from backend.paint.camera.view import View
from tests.servers import import_client

import_client()
projection_camera = importlib.import_module("orbit_texture_tree.addon.viewport.projection_camera")

VIEWS = [
    View(0, 0, 0, 4, 0.5, 0.5, 0.5),
    View(35, 20, 4, 2.5, 0.7, 0.55, 0.4),
    View(-140, -30, -7, 20, 0.4, 0.3, 0.6),
    View(90, 85, 0, 0.5, 0.6, 0.5, 0.5),  # nearer than a camera may be
]


@pytest.mark.parametrize("view", VIEWS)
def test_points_fall_on_the_same_pixels_as_for_the_worker(view):
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 3))
    width, height = 300, 200
    found = View.from_parameters(view.parameters())
    pixels, depth = found.camera(width, height).project(points)
    matrix = projection_camera.clip_matrix(view.parameters().tolist(), width, height)
    clip = points @ matrix[:, :3].T + matrix[:, 3]
    np.testing.assert_allclose(clip[:, 3], depth, atol=1e-9)
    projected = clip[:, :2] / clip[:, 3:]
    np.testing.assert_allclose((projected + 1) / 2 * (width, height), pixels * (1, -1) + (0, height))
    assert (np.abs(clip[:, 2]) <= clip[:, 3]).all(), "within the near and far planes"


def test_a_mesh_in_the_world_is_normalised_as_the_worker_does():
    random = np.random.default_rng(1)
    vertices = (random.random((30, 3)) * (3, 5, 1) + (100, -7, 2)).astype(np.float32)
    vertices[3] = np.nan  # its triangle is left out
    vertices = np.concatenate([vertices, [[1e4, 0, 0]]]).astype(np.float32)  # no triangle uses it
    faces = np.arange(30, dtype=np.int32).reshape(-1, 3)
    matrix = projection_camera.normalizing_matrix(vertices, faces)
    surface = clean(MeshData(vertices, faces))
    kept = np.isfinite(vertices[faces]).all(axis=(1, 2))
    expected = surface.vertices[surface.faces].reshape(-1, 3)
    world = vertices[faces[kept]].reshape(-1, 3)
    np.testing.assert_allclose(world @ matrix[:3, :3].T + matrix[:3, 3], expected, atol=1e-5)
