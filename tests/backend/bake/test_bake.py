"""Colouring and padding texels."""

import numpy as np
import pytest
import trimesh

from backend.mesh.texels import Texels, to_atlas
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.rasterize import positions, render
from tests.meshes import (
    bake_frames,
    camera_at,
    knot,
    paint_solid,
    psnr,
    render_textured,
    seam_differences,
    surface_of,
    true_texture,
)


@pytest.fixture(scope="module")
def scene():
    surface = surface_of(knot())
    cameras = horizontal_orbit(12, 2.2, 1.6, 384).cameras + vertical_orbit(12, 2.2, 1.6, 384).cameras
    buffers = render(surface, cameras)
    frames = []
    for buffer in buffers:
        frame = np.zeros((*buffer.face.shape, 3), np.uint8)
        frame[...] = (255, 0, 255)
        frame[buffer.mask] = np.round(paint_solid(positions(buffer)[buffer.mask]))
        frames.append(frame)
    return surface, buffers, frames


def test_a_bake_of_true_frames_gives_true_colours_without_background(scene):
    surface, buffers, frames = scene
    texture = bake_frames(surface, buffers, frames, np.ones(len(frames), np.float32), 1024, 128)
    truth = true_texture(surface, 1024)
    on = truth.max(axis=2) > 0
    seen = on & (texture.confidence[..., 0] > 0)
    assert texture.covered > 0.9
    assert seam_differences(surface, texture.base_color).mean() < 1
    assert psnr(texture.base_color[seen], truth[seen]) > 20
    for azimuth, elevation in ((10, 20), (100, -30), (200, 50), (300, 0)):
        mask, image = render_textured(
            surface,
            surface.corner_uvs,
            texture.base_color.astype(np.float32),
            camera_at(azimuth, elevation, 256),
        )
        red, green, blue = image[mask].T
        assert not ((green < 60) & (red > 150) & (blue > 150)).any(), "background colour on the mesh"
        assert image[mask].max(axis=1).min() > 60, "a black texel"


def test_frames_that_a_painter_does_not_trust_are_not_used_where_others_see(scene):
    surface, buffers, frames = scene
    frames = [frames[0], *[np.zeros_like(frame) for frame in frames[1:]]]
    preference = np.full(len(frames), 0.2, np.float32)
    preference[0] = 1
    texture = bake_frames(surface, buffers, frames, preference, 512, 128)
    mask, image = render_textured(
        surface, surface.corner_uvs, texture.base_color.astype(np.float32), buffers[0].camera
    )
    assert (image[mask].max(axis=1) > 60).mean() > 0.85


def test_texels_off_the_surface_repeat_the_nearest_one_on_it():
    texels = Texels(
        8,
        np.array([0, 63], np.int64),
        np.zeros((2, 3), np.float32),
        np.zeros((2, 3), np.float32),
        np.zeros(2, np.int32),
    )
    image = to_atlas(texels, np.float32([[10], [200]]))
    assert image[1, 1, 0] == 10
    assert image[6, 6, 0] == 200
    assert set(np.unique(image)) == {10, 200}


def test_a_flat_sheet_is_baked_from_both_sides():
    triangle = surface_of(trimesh.Trimesh([[-1, 0, -1], [1, 0, -1], [0, 0, 1]], [[0, 1, 2]]))
    buffers = render(triangle, horizontal_orbit(4, 2.2, 1.6, 128).cameras)
    frames = [np.full((128, 128, 3), shade, np.uint8) for shade in (200, 100, 200, 100)]
    texture = bake_frames(triangle, buffers, frames, np.ones(4, np.float32), 1024, 64)
    assert texture.covered > 0.9
    assert np.median(texture.base_color) == 200
