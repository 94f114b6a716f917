"""What of the reference is trusted."""

import cv2
import numpy as np
import pytest
import trimesh

from backend.mesh.prepare import clean
from backend.paint.draft.image.known_surface import KnownSurface
from backend.paint.draft.image.projection import (
    LENIENT_TRUST,
    STRICT_TRUST,
    Projection,
    mean_outline_distance,
)
from backend.paint.draft.painter import paint_view
from backend.paint.reference import decode
from backend.render.rasterize import rasterize
from tests.meshes import camera_at, mesh_data

ROWS, COLUMNS = np.mgrid[:200, :240]
DISC = np.hypot(ROWS - 100, COLUMNS - 120) < 60


def test_outlines_that_are_apart_all_around_are_measured_in_pixels():
    larger = np.hypot(ROWS - 100, COLUMNS - 120) < 63
    assert mean_outline_distance(DISC, DISC) == 0
    assert mean_outline_distance(larger, DISC) == pytest.approx(3, abs=0.7)
    assert mean_outline_distance(DISC, larger) == pytest.approx(3, abs=0.7)


def test_what_something_in_front_covers_is_no_mismatch():
    covered = (np.abs(ROWS - 100) < 18) & (COLUMNS < 130)
    assert (DISC & covered).sum() > 0.15 * DISC.sum()
    assert mean_outline_distance(DISC & ~covered, DISC) < 0.1


def test_a_mismatch_at_the_border_of_the_image_counts():
    right = COLUMNS > 150
    above = (ROWS < 4) & (COLUMNS < 150)
    assert mean_outline_distance(right | above, right) > 0.5


@pytest.mark.parametrize("subdivisions", [4, 5])
def test_the_border_of_what_is_shown_is_a_smooth_line(subdivisions):
    # White where the image shows a ball, black where it does not, seen from its side: the border is a circle,
    # of which every row of pixels crosses an arc. A pixel of the image covers about ten of these there.
    surface = clean(mesh_data(trimesh.creation.icosphere(subdivisions)))
    camera = camera_at(0, 0, 384)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    white = np.dstack([np.full((384, 384, 3), 255), 255 * buffer.mask]).astype(np.uint8)
    projection = Projection(decode(white), buffer, np.ones(len(surface.faces), np.int8))
    known = KnownSurface(projection, projection, None, thresholds=LENIENT_TRUST)
    side = rasterize(surface.vertices, surface.faces, camera_at(90, 0, 1024))
    frame = paint_view(
        known.look_up, lambda points, normals: np.zeros_like(points), side, surface, surface.face_normals
    )
    rows = np.arange(360, 664)
    crossing = np.array([(frame[row, side.mask[row], 0] / 255).sum() for row in rows])
    crossing += [side.mask[row].argmax() for row in rows]
    smooth = np.polyval(np.polyfit(rows, crossing, 6), rows)
    assert np.abs(crossing - smooth).std() < 1.2
    assert np.abs(np.diff(crossing)).max() < 1.5


def test_the_outermost_pixel_of_a_cut_out_object_is_not_shown():
    # It has something of the background that was there before.
    surface = clean(mesh_data(trimesh.creation.icosphere(4)))
    camera = camera_at(0, 0, 256)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    inside = cv2.erode(buffer.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    color = np.where(np.dstack([inside] * 3), 220, 90)
    reference = decode(np.dstack([color, 255 * buffer.mask]).astype(np.uint8))
    projection = Projection(reference, buffer, np.ones(len(surface.faces), np.int8))
    middles = surface.vertices[surface.faces].mean(axis=1)
    for thresholds in (STRICT_TRUST, LENIENT_TRUST):
        faces = np.arange(len(middles))
        colors, trust = projection.look_up(middles, surface.face_normals, faces, thresholds)
        assert (trust > 0).mean() > 0.3
        np.testing.assert_allclose(255 * colors[trust > 0], 220, atol=1)
