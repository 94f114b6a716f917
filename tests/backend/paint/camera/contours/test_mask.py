"""The object's mask, given the mesh's silhouette."""

import cv2
import numpy as np
import pytest

from backend.mesh.prepare import clean
from backend.paint.camera.contours.features import observe_image
from backend.paint.camera.contours.mask import MaskConfig, find_mask, score_outline, segment_band
from backend.paint.camera.outline import intersection_over_union
from tests.meshes import mesh_data
from tests.scenes import Scene, mug, photograph, view_at


@pytest.fixture(scope="module")
def pictured():
    """A blue mug and its mask."""
    surface = clean(mesh_data(mug()))
    return photograph(surface, view_at(10, 15), Scene(paint=(0.3, 0.4, 0.7), noise=0.01))


def shadow_of(color: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the darkest of the ground close to the object."""
    ground = np.where(mask, np.inf, color.mean(axis=2))
    rows = np.arange(len(mask))[:, None] > 0.5 * len(mask)
    close = cv2.dilate(mask.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    return (ground < 0.62) & rows & close


def test_of_the_hypotheses_the_one_that_fits_is_taken(pictured):
    color, mask = pictured
    # The mesh is a little beside the object.
    silhouette = np.roll(mask, (2, -3), axis=(0, 1))
    larger = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    found = find_mask(silhouette, color, [larger, mask])
    assert intersection_over_union(found, mask) > 0.98
    assert intersection_over_union(silhouette, mask) < 0.95


def test_a_hypothesis_with_the_shadow_is_refused(pictured):
    color, mask = pictured
    wrong = mask | shadow_of(color, mask)
    assert MaskConfig().min_overlap < intersection_over_union(wrong, mask) < 0.97
    found = find_mask(mask, color, [wrong])
    assert intersection_over_union(found, mask) > 0.98
    assert (found & wrong & ~mask).sum() < 0.1 * (wrong & ~mask).sum()


def test_a_hypothesis_of_something_else_does_not_count(pictured):
    color, mask = pictured
    other = np.zeros_like(mask)
    other[20:80, 20:60] = True
    np.testing.assert_array_equal(find_mask(mask, color, [other]), find_mask(mask, color, []))


def test_the_band_follows_the_object_and_keeps_the_hole_of_the_handle(pictured):
    color, mask = pictured
    silhouette = np.roll(mask, (1, 2), axis=(0, 1))
    found = segment_band(silhouette, color, MaskConfig())
    assert intersection_over_union(found, mask) > 0.98 > intersection_over_union(silhouette, mask)
    holes, _ = cv2.connectedComponents((~found).astype(np.uint8))
    assert holes == 3, "the ground around and within the handle"


def test_the_true_outline_scores_above_thicker_and_thinner_ones(pictured):
    color, mask = pictured
    seen = observe_image(color)
    thicker = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    thinner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    for wrong in (thicker, thinner, mask | shadow_of(color, mask)):
        assert score_outline(mask, seen) > score_outline(wrong, seen) + 0.1
    for nothing in (np.zeros_like(mask), np.ones_like(mask)):
        assert score_outline(nothing, seen) == 0


@pytest.mark.parametrize("shape", [(16, 16), (60, 2000)])
def test_a_silhouette_of_few_pixels_is_segmented_without_error(shape):
    color = np.random.default_rng(0).random((*shape, 3), np.float32)
    for rows, columns in (
        (slice(7, 8), slice(5, 6)),
        (slice(0, 16), slice(3, 16)),
        (slice(2, 4), slice(0, 9)),
    ):
        silhouette = np.zeros(shape, bool)
        silhouette[rows, columns] = True
        found = find_mask(silhouette, color, [])
        assert found.shape == shape
        assert found.any()
