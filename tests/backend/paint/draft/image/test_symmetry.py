"""Planes of symmetry of shapes that are symmetric only nearly, and what lies opposite a point."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from backend.mesh.voxels import voxelize
from backend.paint.draft.image.symmetry import Mirror, find_mirrors
from backend.render.camera import look_at_origin
from tests.meshes import surface_of


def bird(turn: float, wing: float = 0.0) -> trimesh.Trimesh:
    """A body, a head with a beak and a comb that look aside by ``turn`` degrees, and a wing on one side."""
    body = trimesh.creation.icosphere(4).apply_scale((0.75, 1.0, 0.7))
    head = trimesh.util.concatenate(
        [
            trimesh.creation.icosphere(3, 0.45),
            trimesh.creation.icosphere(2).apply_scale((0.2, 0.3, 0.08)).apply_translation((0, -0.55, -0.05)),
            trimesh.creation.box((0.06, 0.4, 0.25)).apply_translation((0, 0, 0.5)),
        ]
    )
    head.apply_transform(trimesh.transformations.rotation_matrix(np.radians(turn), (0, 0, 1)))
    parts = [body, head.apply_translation((0, -0.5, 0.8))]
    if wing:
        parts.append(trimesh.creation.icosphere(3, wing).apply_translation((0.8, 0.1, 0.1)))
    return trimesh.util.concatenate(parts)


def voxels_of(mesh: trimesh.Trimesh):
    return voxelize(surface_of(mesh), 192)


def find_mirror(voxels, towards=(0, -1, 0)) -> Mirror | None:
    return next(iter(find_mirrors(voxels, None, np.array(towards), 0)), None)


def test_a_face_that_looks_a_little_aside_leaves_a_mesh_symmetric():
    mirror = find_mirror(voxels_of(bird(20)))
    assert abs(mirror.plane.normal[0]) > np.cos(np.radians(3))
    assert abs(mirror.plane.offset) < 0.01


def test_a_mesh_that_stands_a_little_turned_is_found_symmetric():
    mesh = bird(0)
    mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(4), (0, 0, 1)))
    normal = find_mirror(voxels_of(mesh)).plane.normal
    angle = np.degrees(np.arctan2(normal[1], normal[0]))
    assert abs((angle - 4 + 90) % 180 - 90) < 1


@pytest.mark.parametrize("mesh", [bird(60, 0.6), bird(0, 0.6)], ids=["turned, with a wing", "with a wing"])
def test_a_mesh_with_a_large_wing_on_one_side_is_not_symmetric(mesh):
    assert find_mirror(voxels_of(mesh)) is None


@pytest.mark.parametrize(("azimuth", "axis"), [(0, 0), (30, 0), (90, 1), (-70, 1), (180, 0)])
def test_of_two_planes_the_one_across_the_view_is_left_out(azimuth, axis):
    mesh = trimesh.creation.icosphere(4).apply_scale((0.7, 0.8, 1))
    mirrors = find_mirrors(voxels_of(mesh), None, look_at_origin(azimuth, 10)[:, 2], 0)
    assert len(mirrors) == 1
    assert abs(mirrors[0].plane.normal[axis]) == 1


def test_a_single_plane_may_lie_across_the_view():
    mirror = find_mirror(voxels_of(bird(0)), look_at_origin(90, 0)[:, 2])
    assert abs(mirror.plane.normal[0]) == 1


def test_what_lies_opposite_a_point_lies_on_the_surface():
    mesh = bird(20)
    surface = surface_of(mesh)
    mirror = find_mirror(voxelize(surface, 192))
    points = trimesh.sample.sample_surface(
        trimesh.Trimesh(surface.vertices, surface.faces, process=False), 4000, seed=0
    )[0].astype(np.float32)
    dense = trimesh.sample.sample_surface(
        trimesh.Trimesh(surface.vertices, surface.faces, process=False), 400_000, seed=1
    )[0]
    opposite, exists = mirror.opposite(points)
    distance = cKDTree(dense).query(opposite[exists])[0]
    assert exists.mean() > 0.9
    assert np.quantile(distance, 0.95) < 0.004
    # Of the beak, which looks aside, the plane alone puts some beside the surface.
    plain = cKDTree(dense).query(mirror.plane.reflect_points(points)[exists])[0]
    beside = plain > 0.008
    assert beside.sum() > 20
    assert np.median(distance[beside]) < 0.5 * np.median(plain[beside])


def test_nothing_lies_opposite_a_limb_that_only_one_side_has():
    mesh = trimesh.util.concatenate(
        [bird(0), trimesh.creation.cylinder(0.05, 0.6).apply_translation((0.5, 0.5, 0.8))]
    )
    surface = surface_of(mesh)
    mirror = find_mirror(voxelize(surface, 192))
    limb = surface.vertices[np.linalg.norm(surface.vertices[:, :2] - surface.vertices[-1, :2], axis=1) < 0.05]
    top = limb[limb[:, 2] > np.quantile(limb[:, 2], 0.9)]
    assert not mirror.opposite(top.astype(np.float32))[1].any()
