"""UV seams show the same colours from both sides."""

import cv2
import numpy as np
import pytest

from backend.bake.seams import equalise_seams
from backend.mesh.uvs import rasterize_atlas
from tests.meshes import knot, points_on_seams, seam_differences, surface_of, true_texture

SEAM_ATLAS_SIZE = 1024


@pytest.fixture(scope="module")
def atlas():
    """A knot, its texels, and a padded texture of hard-edged colours that no two views would quite agree
    on."""
    surface = surface_of(knot())
    on = rasterize_atlas(surface.corner_uvs, SEAM_ATLAS_SIZE)[0] >= 0
    image = np.clip(
        true_texture(surface, SEAM_ATLAS_SIZE)
        + np.random.default_rng(0).normal(0, 6, (SEAM_ATLAS_SIZE, SEAM_ATLAS_SIZE, 3)),
        0,
        255,
    )
    _, nearest = cv2.distanceTransformWithLabels(
        (~on).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(nearest.max() + 1, np.int64)
    source[nearest[on]] = np.flatnonzero(on)
    return surface, on, image.reshape(-1, 3)[source[nearest]].astype(np.float32)


@pytest.mark.parametrize(("dtype", "rest"), [(np.float32, 0.05), (np.uint8, 0.07)])
def test_equalised_seams_show_the_same_on_both_sides(atlas, dtype, rest):
    surface, on, image = atlas
    image = image.astype(dtype)
    before, after = (
        seam_differences(surface, image),
        seam_differences(surface, equalise_seams(image, on, surface.faces, surface.corner_uvs)),
    )
    assert before.max() > 60
    assert after.max() < 0.15 * before.max()
    assert after.mean() < rest * before.mean()


def test_texels_away_from_seams_and_most_of_the_surface_are_unchanged(atlas):
    surface, on, image = atlas
    change = np.abs(equalise_seams(image, on, surface.faces, surface.corner_uvs) - image).max(axis=2)
    far = np.ones((SEAM_ATLAS_SIZE, SEAM_ATLAS_SIZE), np.uint8)
    for pixels in points_on_seams(surface, SEAM_ATLAS_SIZE):
        column, row = np.clip(pixels, 0, SEAM_ATLAS_SIZE - 1).astype(int).T
        far[row, column] = 0
    far = cv2.distanceTransform(far, cv2.DIST_L2, 5) > 2.5
    assert (change[far] == 0).all()
    assert far[on].mean() > 0.5
    assert change[on & ~far].mean() < 0.4 * change[~on & ~far].mean(), (
        "the padding gives way, not the surface"
    )


def test_an_atlas_without_seams_or_without_differences_stays(atlas):
    surface, on, _ = atlas
    plain = np.full((SEAM_ATLAS_SIZE, SEAM_ATLAS_SIZE, 3), 130, np.uint8)
    assert np.array_equal(equalise_seams(plain, on, surface.faces, surface.corner_uvs), plain)
    corners = np.float32([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])
    faces = np.int32([[0, 1, 2], [0, 2, 3]])
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.array_equal(equalise_seams(noise, np.ones((64, 64), bool), faces, corners[faces]), noise)
