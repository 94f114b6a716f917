"""The directions that patterns follow on a surface."""

from itertools import product

import numpy as np
import pytest
import trimesh

from backend.paint.draft.fill.orientation_field import Field, middle_of_revolution
from backend.paint.draft.fill.samples import spread
from backend.render.camera import look_at_origin
from tests.meshes import knot, surface_of


def test_a_frames_first_tangent_points_to_the_right_of_who_looks_at_the_surface():
    normals = np.float32([look_at_origin(azimuth, 20)[:, 2] for azimuth in range(0, 360, 30)])
    field = Field(normals / 2, normals, np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), None)
    frames, _ = field.frames(normals / 2, normals)
    right = np.float32([look_at_origin(azimuth, 20)[:, 0] for azimuth in range(0, 360, 30)])
    np.testing.assert_allclose((frames[:, 0] * right).sum(axis=1), 1, atol=0.1)
    np.testing.assert_allclose(np.cross(frames[:, 0], frames[:, 1]), normals, atol=1e-5)


def scattered(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """Points of a mesh and their normals, (N, 3)."""
    surface = surface_of(mesh)
    _, points, normals = spread(surface, surface.face_normals, 60, 0)
    return points, normals


@pytest.mark.parametrize("bevel", [0.0, 0.02])
def test_nothing_runs_along_the_edges_of_a_box(bevel):
    corners = [(0.4, 0.25, 0.5 - bevel), (0.4 - bevel, 0.25, 0.5), (0.4, 0.25 - bevel, 0.5)]
    box = trimesh.convex.convex_hull(
        [np.multiply(corner, signs) for corner in corners for signs in product((-1, 1), repeat=3)]
    )
    points, normals = scattered(box)
    frames, _ = Field(points, normals, np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), None).frames(
        points, normals
    )
    walls = np.abs(normals[:, 2]) < 0.1
    assert frames[walls, 1, 2].min() > 0.9


@pytest.mark.parametrize("sections", [5, 8, 48])
def test_patterns_run_along_a_lying_tube(sections):
    tube = trimesh.creation.cylinder(0.05, 1.0, sections=sections)
    tube.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0)))
    points, normals = scattered(tube)
    frames, steady = Field(points, normals, np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), None).frames(
        points, normals
    )
    inner = np.abs(points[:, 0]) < 0.4
    assert np.abs(frames[inner, 1, 0]).min() > 0.9
    assert steady[inner].min() > 0.9


def test_on_what_was_turned_on_a_lathe_patterns_run_towards_the_middle():
    handle = trimesh.creation.torus(0.2, 0.04)
    handle.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    pot = trimesh.util.concatenate(
        [trimesh.creation.cylinder(0.4, 0.8, sections=32), handle.apply_translation((0.45, 0, 0))]
    )
    points, normals = scattered(pot)
    axis = np.array([0, 0, 1.0])
    middle = middle_of_revolution(axis, points, normals)
    lid = (normals[:, 2] > 0.9) & (points[:, 2] > points[:, 2].max() - 0.01)
    np.testing.assert_allclose(middle[:2], points[lid, :2].mean(axis=0), atol=0.01)
    frames, steady = Field(points, normals, axis, np.array([0, 1.0, 0]), middle).frames(points, normals)
    inward = (middle - points) * (1, 1, 0)
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    inner = lid & (np.linalg.norm((points - middle)[:, :2], axis=1) < 0.7 * np.ptp(points[lid, 0]) / 2)
    assert (frames[inner, 1] * inward[inner]).sum(axis=1).min() > 0.9
    assert steady[inner].min() == 1


@pytest.mark.parametrize(
    "mesh",
    [trimesh.creation.box((0.8, 0.5, 1.0)), trimesh.creation.cylinder(0.4, 0.8, sections=6), knot()],
    ids=["box", "six sides", "knot"],
)
def test_nothing_else_was_turned_on_a_lathe(mesh):
    assert middle_of_revolution(np.array([0, 0, 1.0]), *scattered(mesh)) is None
