"""Shades within one paint: what of them counts as light, and what stays paint."""

import numpy as np
import pytest
import trimesh

from backend.paint.draft.image.paints import shade_within_paints
from backend.render.rasterize import rasterize
from tests.meshes import camera_at, surface_of

SIZE = 160
CAMERA = camera_at(0, 0, SIZE)
ACROSS = np.linspace(-1, 1, SIZE, dtype=np.float32)[None, :, None] + np.zeros((SIZE, SIZE, 3), np.float32)
ORANGE, BLUE = np.log(np.float32([0.6, 0.3, 0.1])), np.log(np.float32([0.1, 0.2, 0.5]))
UNEVEN = 0.6 * np.sin(3 * ACROSS)
"""Light strong enough that steps of paint may be its rest."""


@pytest.fixture(scope="module")
def block():
    """``(surface, alpha)`` of a block that fills most of the image."""
    surface = surface_of(trimesh.creation.box((1.2, 1.2, 1.2)))
    return surface, rasterize(surface.vertices, surface.faces, CAMERA).mask.astype(np.float32)


def inner(image: np.ndarray) -> np.ndarray:
    """The pixels of an image that are far from the block's outline."""
    return image[60:100, 60:100]


def test_a_soft_shade_on_one_paint_is_found(block):
    surface, alpha = block
    shade = 0.1 * np.cos(5 * ACROSS)
    found = shade_within_paints(ORANGE + UNEVEN + shade, UNEVEN, alpha, CAMERA, surface)
    assert inner(shade - found).std() < 0.4 * inner(shade).std()


def test_two_paints_stay_apart(block):
    surface, alpha = block
    paint = np.where(ACROSS < 0, ORANGE, BLUE)
    found = shade_within_paints(paint + UNEVEN, UNEVEN, alpha, CAMERA, surface)
    assert np.abs(inner(found)).max() < 0.02


def test_the_grain_of_a_paint_is_kept(block):
    surface, alpha = block
    checks = 0.1 * np.float32(np.indices((SIZE, SIZE)).sum(axis=0) % 2)[..., None]
    found = shade_within_paints(ORANGE + UNEVEN + checks, UNEVEN, alpha, CAMERA, surface)
    assert inner(found).std() < 0.1 * checks.std()


def test_shades_are_paint_where_light_is_even(block):
    surface, alpha = block
    shade = 0.1 * np.cos(5 * ACROSS)
    found = shade_within_paints(ORANGE + shade, 0 * ACROSS, alpha, CAMERA, surface)
    assert np.abs(found).max() < 0.01


def test_nothing_is_shaded_where_the_image_shows_no_mesh(block):
    surface, alpha = block
    assert not shade_within_paints(ORANGE + UNEVEN, UNEVEN, 0 * alpha, CAMERA, surface).any()
