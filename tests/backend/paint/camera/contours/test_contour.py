"""The contour of a silhouette, and how far along its normals the reference has it."""

import itertools

import numpy as np
import pytest

from backend.mesh.prepare import clean
from backend.paint.camera.contours.contour import (
    INNER_POINTS,
    best_offsets,
    follow_contour,
    inner_edge_points,
    offset_gains,
)
from backend.paint.camera.contours.templates import ORIENTATIONS
from backend.paint.camera.feature_edges import mesh_feature_edges
from backend.render.rasterize import rasterize
from tests.meshes import mesh_data
from tests.scenes import van, view_at

ROWS, COLUMNS = np.mgrid[:80, :90]
RADIUS = np.hypot(COLUMNS - 45, ROWS - 40)


def outward_cosines(mask: np.ndarray, line: int) -> np.ndarray:
    """(N,) cosine between the normals of a line's pixels and the ray away from the disc's centre."""
    contour = follow_contour(mask)
    ray = (contour.pixels - (45, 40)) / np.linalg.norm(contour.pixels - (45, 40), axis=1, keepdims=True)
    return (contour.normal * ray).sum(axis=1)[contour.line == line]


def test_the_normals_of_a_disc_point_away_from_its_centre():
    mask = RADIUS < 25
    contour = follow_contour(mask)
    pixels, channel, normal = contour.pixels, contour.channel, contour.normal
    assert set(contour.line) == {0}
    assert mask[pixels[:, 1], pixels[:, 0]].all(), "the contour's pixels are inside"
    assert (RADIUS[pixels[:, 1], pixels[:, 0]] > 23.4).all()
    assert outward_cosines(mask, 0).min() > 0.97
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1)
    # The channel is the direction of the normal, over half a turn.
    angle = np.arctan2(normal[:, 1], normal[:, 0])
    apart = np.abs(np.sin(angle - channel * np.pi / ORIENTATIONS))
    assert apart.max() < np.sin(np.pi / ORIENTATIONS / 2) + 1e-6


def test_the_normals_of_a_hole_point_into_the_hole():
    mask = (RADIUS < 32) & (RADIUS > 15)
    contour = follow_contour(mask)
    assert set(contour.line) == {0, 1}
    radius = RADIUS[contour.pixels[:, 1], contour.pixels[:, 0]]
    [hole] = [line for line in (0, 1) if radius[contour.line == line].max() < 20]
    assert outward_cosines(mask, hole).max() < -0.95
    assert outward_cosines(mask, 1 - hole).min() > 0.97


def test_specks_are_left_out_beside_something_larger():
    mask = RADIUS < 25
    mask[3, 3] = True
    assert not (follow_contour(mask).pixels == (3, 3)).all(axis=1).any()
    speck = np.zeros_like(mask)
    speck[3, 3] = True
    np.testing.assert_array_equal(follow_contour(speck).pixels, [(3, 3)])


def test_a_silhouette_at_the_border_has_its_contour_there():
    mask = np.zeros((20, 30), bool)
    mask[5:, 10:] = True
    contour = follow_contour(mask)
    last = contour.pixels[:, 1] == 19
    assert (contour.normal[last & (contour.pixels[:, 0] > 14) & (contour.pixels[:, 0] < 25), 1] > 0.99).all()


def test_a_contour_reads_each_pixel_in_its_own_channel():
    contour = follow_contour(RADIUS < 25)
    images = np.random.default_rng(4).random((ORIENTATIONS, *RADIUS.shape))
    expected = [
        images[channel, row, column]
        for channel, (column, row) in zip(contour.channel, contour.pixels, strict=True)
    ]
    np.testing.assert_array_equal(contour.read(images), expected)


def test_inner_edges_lie_inside_and_point_across_the_crease():
    surface = clean(mesh_data(van()))
    buffer = rasterize(surface.vertices, surface.faces, view_at(0, 10, zoom=0.8).camera(240, 200))
    pixels, normal = inner_edge_points(mesh_feature_edges(buffer, surface))
    assert 20 < len(pixels) < 2 * INNER_POINTS
    assert buffer.mask[pixels[:, 1], pixels[:, 0]].all()
    # From the front, what shows inside are the level edges of bonnet and roof.
    assert (np.abs(normal[:, 1]) > 0.9).mean() > 0.6


def test_offset_gains_are_those_of_a_plain_loop():
    rng = np.random.default_rng(1)
    edges = rng.random((ORIENTATIONS, 30, 40)).astype(np.float32)
    ratio = rng.normal(0, 0.2, (30, 40)).astype(np.float32)
    # Some of them at the border, where offsets leave the image.
    pixels = np.column_stack([rng.integers(0, 40, 50), rng.integers(0, 30, 50)]).astype(np.int32)
    angle = rng.uniform(-np.pi, np.pi, 50)
    normal = np.column_stack([np.cos(angle), np.sin(angle)])
    channel = rng.integers(0, ORIENTATIONS, 50).astype(np.int32)
    reach = 5

    def place(n: int, offset: int) -> tuple[int, int]:
        x, y = pixels[n] + 0.5 + normal[n] * offset
        return min(max(int(np.floor(y)), 0), 29), min(max(int(np.floor(x)), 0), 39)

    expected = np.empty((50, 2 * reach + 1))
    for n, offset in itertools.product(range(50), range(-reach, reach + 1)):
        # Outwards the object wins the pixels on the way, inwards it gives them up.
        steps = range(1, offset + 1) if offset > 0 else range(offset, 0)
        won = np.sign(offset) * sum(float(ratio[place(n, step)]) for step in steps)
        expected[n, offset + reach] = edges[(channel[n], *place(n, offset))] + won
    gain = offset_gains(pixels, channel, normal, edges, ratio, reach)
    np.testing.assert_allclose(gain, expected, atol=1e-5)


@pytest.mark.parametrize("step_cost", [0.0, 0.1, 0.6])
def test_best_offsets_are_those_of_all_paths(step_cost):
    rng = np.random.default_rng(2)
    gain = rng.random((9, 5)).astype(np.float32)
    number = np.int32([0] * 5 + [1] * 4)
    offset, worth = best_offsets(gain, number, np.float32(step_cost))
    for line in (0, 1):
        own = gain[number == line]
        paths = [
            path for path in itertools.product(range(5), repeat=len(own)) if np.abs(np.diff(path)).max() <= 2
        ]
        worths = [
            own[np.arange(len(own)), path].sum() - step_cost * np.abs(np.diff(path)).sum() for path in paths
        ]
        assert tuple(offset[number == line]) == paths[int(np.argmax(worths))]
    np.testing.assert_allclose(worth, np.maximum(gain[np.arange(9), offset], 0.05))


def test_gains_are_worth_between_a_little_and_one():
    _, worth = best_offsets(np.float32([[-2.0], [0.4], [3.0]]), np.int32([0, 0, 0]), np.float32(0.1))
    np.testing.assert_allclose(worth, [0.05, 0.4, 1.0])
