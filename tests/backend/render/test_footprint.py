"""Texels read the patch of a frame that they cover."""

import numpy as np
import pytest

from backend.mesh.uvs import rasterize_atlas
from backend.render.footprint import build_mipmap, project_texels, sample_footprints, texel_tangents
from backend.render.sample import sample_bilinear
from tests.meshes import camera_at, knot, surface_of

STRIPES_SIZE = 128
EVERYWHERE = np.ones((STRIPES_SIZE, STRIPES_SIZE), bool)


def stripes(degrees: float, period: float) -> np.ndarray:
    """(SIDE, SIDE, 1) float32 waves between 0 and 200 that run along a direction."""
    row, column = np.mgrid[:STRIPES_SIZE, :STRIPES_SIZE] + 0.5
    across = np.cos(np.radians(degrees)) * row - np.sin(np.radians(degrees)) * column
    return (100 + 100 * np.cos(2 * np.pi * across / period)).astype(np.float32)[..., None]


def places(count: int = 4000) -> np.ndarray:
    return np.random.default_rng(0).uniform(40, STRIPES_SIZE - 40, (count, 2)).astype(np.float32)


def patches(count: int, long: float, short: float, degrees: float) -> np.ndarray:
    """(count, 2, 2) Jacobians of patches that are ``long`` pixels along a direction, whose texel axes point
    elsewhere."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = np.array([[np.cos(1.1), -np.sin(1.1)], [np.sin(1.1), np.cos(1.1)]])
    jacobian = np.array([[c, -s], [s, c]]) @ np.diag([long, short]) @ turned
    return np.tile(jacobian.astype(np.float32), (count, 1, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_texel_no_larger_than_a_pixel_reads_bilinearly(dtype):
    frame = np.random.default_rng(1).integers(0, 256, (STRIPES_SIZE, STRIPES_SIZE - 1, 3)).astype(dtype)
    where = np.random.default_rng(2).uniform(-3, STRIPES_SIZE + 3, (4000, 2)).astype(np.float32)
    mips = build_mipmap(frame, EVERYWHERE[:, 1:])
    for long in (0.1, 0.6, 0.99):
        np.testing.assert_allclose(
            sample_footprints(mips, where, patches(4000, long, 0.1, 30)),
            sample_bilinear(frame, where),
            atol=1e-2,
        )


@pytest.mark.parametrize("period", [2.3, 3.0, 4.1])
def test_a_texel_of_many_pixels_reads_their_mean(period):
    frame = stripes(20, period)
    read = sample_footprints(build_mipmap(frame, EVERYWHERE), places(), patches(4000, 8, 8, 0))
    assert np.abs(read - 100).max() < 6
    assert np.abs(sample_bilinear(frame, places()) - 100).max() > 40


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_a_narrow_patch_keeps_detail_across_it_and_none_along_it(degrees):
    where = places()
    along, across = stripes(degrees, 8), stripes(degrees + 90, 8)
    read = sample_footprints(build_mipmap(along, EVERYWHERE), where, patches(len(where), 8, 1, degrees))
    assert read.std() > 0.9 * sample_bilinear(along, where).std()
    assert (
        sample_footprints(build_mipmap(along, EVERYWHERE), where, patches(len(where), 8, 8, degrees)).std()
        < 0.2 * read.std()
    )
    assert (
        sample_footprints(build_mipmap(across, EVERYWHERE), where, patches(len(where), 8, 1, degrees)).std()
        < 0.15 * read.std()
    )


def test_the_background_enters_no_level_of_a_mipmap():
    frame = np.zeros((100, 75, 3), np.float32) + np.float32([255, 0, 255])
    mask = np.zeros((100, 75), bool)
    mask[31:50, 22:41] = True
    mask[70, 3] = True
    frame[mask] = (20, 130, 60)
    where = np.random.default_rng(3).uniform(0, 100, (4000, 2)).astype(np.float32)
    for long, short in ((0.5, 0.5), (2, 1), (13, 1), (40, 30), (500, 3)):
        read = sample_footprints(build_mipmap(frame, mask), where, patches(4000, long, short, 50))
        np.testing.assert_allclose(read, np.tile(np.float32([20, 130, 60]), (4000, 1)), rtol=1e-4)


@pytest.mark.parametrize("orthographic", [False, True])
def test_jacobians_are_how_far_the_next_texel_lands(orthographic):
    surface, size = surface_of(knot()), 2048
    face, barycentric = rasterize_atlas(surface.corner_uvs, size)
    pairs = {(0, 1): (face[:, :-1] == face[:, 1:]), (1, 0): (face[:-1] == face[1:])}
    camera = camera_at(40, 20)
    camera = type(camera)(
        camera.rotation, camera.position, camera.focal, (0.47, 0.55), 640, 480, orthographic
    )
    moved = texel_tangents(surface.vertices, surface.faces, surface.corner_uvs, size)
    weights = np.concatenate([barycentric, 1 - barycentric.sum(axis=2, keepdims=True)], axis=2)
    points = np.einsum("hwc,hwcx->hwx", weights, surface.vertices[surface.faces[face]])
    for axis, ((down, right), same) in enumerate(pairs.items()):
        row, column = np.nonzero(same & (face[: same.shape[0], : same.shape[1]] >= 0))
        row, column = row[::97], column[::97]
        here, there = points[row, column], points[row + down, column + right]
        pixels, jacobians = project_texels(camera, here.astype(np.float32), moved, face[row, column])
        np.testing.assert_allclose(pixels, camera.project(here)[0], atol=1e-2)
        step = camera.project(there)[0] - camera.project(here)[0]
        np.testing.assert_allclose(jacobians[:, :, axis], step, atol=0.01 * np.abs(step).max())


def test_a_triangle_without_area_in_uv_reads_one_point():
    uvs = np.float32([[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]])
    assert (texel_tangents(np.eye(3, dtype=np.float32), np.int32([[0, 1, 2]]), uvs, 64) == 0).all()
    frame = stripes(0, 9)
    np.testing.assert_allclose(
        sample_footprints(build_mipmap(frame, EVERYWHERE), places(), np.zeros((4000, 2, 2), np.float32)),
        sample_bilinear(frame, places()),
        atol=1e-2,
    )
