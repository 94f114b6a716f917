"""The directions that patterns follow on a surface."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import trimesh

from backend.paint.draft.fill.orientation_field import OrientationField
from backend.paint.draft.fill.samples import sample_points
from backend.render.camera import look_at_origin
from tests.meshes import surface_of


def upright_field(points: np.ndarray, normals: np.ndarray) -> OrientationField:
    """The orientation field of points (N, 3) with normals (N, 3) of a mesh that stands upright."""
    return OrientationField(
        points, normals, axis=np.array([0, 0, 1.0]), level_direction=np.array([0, 1.0, 0]), center=None
    )


def test_a_frames_first_tangent_points_to_the_right_seen_from_outside():
    normals = np.float32([look_at_origin(azimuth, 20)[:, 2] for azimuth in range(0, 360, 30)])
    frames, _ = upright_field(normals / 2, normals).tangent_frames(normals / 2, normals)
    right = np.float32([look_at_origin(azimuth, 20)[:, 0] for azimuth in range(0, 360, 30)])
    np.testing.assert_allclose((frames[:, 0] * right).sum(axis=1), 1, atol=0.1)
    np.testing.assert_allclose(np.cross(frames[:, 0], frames[:, 1]), normals, atol=1e-5)


def spread_points(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """Points of a mesh and their normals, (N, 3)."""
    surface = surface_of(mesh)
    _, points, normals = sample_points(surface, surface.face_normals, 60, 0)
    return points, normals


@pytest.mark.parametrize("bevel", [0.0, 0.02])
def test_no_pattern_runs_along_the_edges_of_a_box(bevel):
    corners = [(0.4, 0.25, 0.5 - bevel), (0.4 - bevel, 0.25, 0.5), (0.4, 0.25 - bevel, 0.5)]
    box = trimesh.convex.convex_hull(
        [np.multiply(corner, signs) for corner in corners for signs in product((-1, 1), repeat=3)]
    )
    points, normals = spread_points(box)
    frames, _ = upright_field(points, normals).tangent_frames(points, normals)
    walls = np.abs(normals[:, 2]) < 0.1
    assert frames[walls, 1, 2].min() > 0.9


@pytest.mark.parametrize("sections", [5, 8, 48])
def test_patterns_run_along_a_lying_tube(sections):
    tube = trimesh.creation.cylinder(0.05, 1.0, sections=sections)
    tube.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0)))
    points, normals = spread_points(tube)
    frames, strength = upright_field(points, normals).tangent_frames(points, normals)
    inner = np.abs(points[:, 0]) < 0.4
    assert np.abs(frames[inner, 1, 0]).min() > 0.9
    assert strength[inner].min() > 0.9


def test_patterns_on_a_surface_of_revolution_run_towards_its_axis():
    points, normals = spread_points(trimesh.creation.cylinder(0.4, 0.8, sections=32))
    center = points.mean(axis=0).astype(np.float64)
    lid = (normals[:, 2] > 0.9) & (points[:, 2] > points[:, 2].max() - 0.01)
    field = replace(upright_field(points, normals), center=center)
    frames, strength = field.tangent_frames(points, normals)
    inward = (center - points) * (1, 1, 0)
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    inner = lid & (np.linalg.norm((points - center)[:, :2], axis=1) < 0.7 * np.ptp(points[lid, 0]) / 2)
    assert (frames[inner, 1] * inward[inner]).sum(axis=1).min() > 0.9
    assert strength[inner].min() == 1
