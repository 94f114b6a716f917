"""The texture that frames agree on, beside dense least squares and beside what cameras really see."""

import numpy as np
import pytest

from backend.fuse.observations import View, observe_atlas
from backend.fuse.solve import blend, fit, render_back
from backend.render.camera import horizontal_orbit
from backend.render.rasterize import render
from backend.render.sample import bilinear
from backend.render.visibility import edge_distances, facing
from tests.meshes import knot, surface_of


def random_view(count: int, seed: int, spread: float = 0.03) -> View:
    random = np.random.default_rng(seed)
    return View(
        np.arange(count, dtype=np.int32),
        np.zeros((count, 3), np.float32),
        random.uniform(0.1, 0.9, (count, 2)).astype(np.float32),
        random.normal(0, spread, (count, 2, 2)).astype(np.float32),
        random.uniform(0.1, 1, count).astype(np.float32),
        np.ones(count, np.float32),
    )


def readings(view: View, size: int) -> np.ndarray:
    """(N, size * size): what every pixel reads of every texel, from unit textures read one by one."""
    rows = np.zeros((len(view), size * size))
    for texel in range(size * size):
        unit = np.zeros((size, size, 1), np.float32)
        unit.ravel()[texel] = 1
        for x in (-0.25, 0.25):
            for y in (-0.25, 0.25):
                place = view.places.astype(np.float64) + view.spread.astype(np.float64) @ (x, y)
                rows[:, texel] += bilinear(unit, place * size)[:, 0] / 4
    return rows


def test_the_fit_is_the_least_squares_solution():
    size, views = 6, [random_view(300, 1), random_view(200, 2)]
    random = np.random.default_rng(3)
    colors = [random.uniform(60, 180, (len(view), 3)).astype(np.float32) for view in views]
    weights = [view.weights(2) for view in views]
    wide = np.where(np.indices((size, size)).sum(axis=0) % 2, 255, 0)[..., None] * np.ones(3)
    fitted = fit(views, weights, colors, wide.astype(np.float32), 60)

    root = np.sqrt(np.concatenate(weights))[:, None]
    matrix = np.concatenate([readings(view, size) for view in views]) * root
    solution = np.linalg.lstsq(matrix, np.concatenate(colors) * root, rcond=None)[0]
    np.testing.assert_allclose(fitted.reshape(-1, 3), solution, atol=0.5)


def test_a_texture_is_recovered_from_what_views_read_of_it_better_than_by_blending():
    size, views = 16, [random_view(2000, seed, 0.02) for seed in range(4)]
    random = np.random.default_rng(4)
    texture = random.uniform(60, 180, (size, size, 3)).astype(np.float32)
    colors = [(readings(view, size) @ texture.reshape(-1, 3)).astype(np.float32) for view in views]
    weights = [np.ones(len(view), np.float32) for view in views]
    start, _ = blend(views, weights, colors, size)
    inner = (slice(3, 13),) * 2
    error = [
        np.sqrt(np.square(image - texture)[inner].mean())
        for image in (start, fit(views, weights, colors, start, 10))
    ]
    assert error[1] < 0.6 * error[0]


def test_hard_edges_do_not_ring():
    size, view = 32, random_view(4000, 5, 0.0)
    colors = np.where(view.places[:, :1] > 0.5, 240, 20) * np.ones(3, np.float32)
    start, _ = blend([view], [view.weights(0)], [colors.astype(np.float32)], size)
    fitted = fit([view], [view.weights(0)], [colors.astype(np.float32)], start, 30)
    inner = fitted[5:-5, 5:-5]
    assert inner.min() >= 20 - 0.1 * 220 - 4.1
    assert inner.max() <= 240 + 0.1 * 220 + 4.1


def test_a_texel_that_no_view_reads_stays_as_it_was():
    view = random_view(50, 6, 0.0)
    start = np.full((64, 64, 3), 77, np.float32)
    fitted = fit([view], [view.weights(0)], [np.full((50, 3), 99, np.float32)], start, 5)
    assert (fitted[:4] == 77).all()
    assert fitted.max() > 80


@pytest.fixture(scope="module")
def observed():
    surface = surface_of(knot())
    buffers = render(surface, horizontal_orbit(4, 2.2, 1.6, 256).cameras)
    edges = edge_distances(buffers)
    return surface, buffers, edges, observe_atlas(surface, buffers, edges, facing(surface, buffers))


def test_pixels_read_the_atlas_where_their_point_of_the_surface_lies(observed):
    surface, buffers, _, views = observed
    for buffer, view in zip(buffers, views, strict=True):
        face = buffer.face.ravel()[view.pixels]
        weights = buffer.barycentric.reshape(-1, 2)[view.pixels]
        weights = np.column_stack([weights, 1 - weights.sum(axis=1)])
        uvs = np.einsum("nc,ncx->nx", weights, surface.corner_uvs[face])
        np.testing.assert_allclose(view.places, uvs * (1, -1) + (0, 1), atol=1e-5)
        np.testing.assert_allclose(
            view.points, np.einsum("nc,ncx->nx", weights, surface.vertices[surface.faces[face]]), atol=1e-5
        )


def test_the_spread_leads_to_where_the_next_pixel_reads(observed):
    _, buffers, _, views = observed
    for buffer, view in zip(buffers, views, strict=True):
        width = buffer.face.shape[1]
        where = np.full(buffer.face.size, -1)
        where[view.pixels] = np.arange(len(view))
        for axis, step in ((0, 1), (1, width)):
            this = np.flatnonzero(view.pixels + step < len(where))
            other = where[view.pixels[this] + step]
            same = (other >= 0) & (
                buffer.face.ravel()[view.pixels[this]] == buffer.face.ravel()[view.pixels[other]]
            )
            this, other = this[same], other[same]
            assert len(this) > 100
            moved = view.places[other] - view.places[this]
            predicted = (view.spread[this, :, axis] + view.spread[other, :, axis]) / 2
            np.testing.assert_allclose(predicted, moved, atol=1e-4 + 0.02 * np.abs(moved).max())


def test_only_pixels_well_inside_that_face_the_view_are_used(observed):
    _, buffers, edges, views = observed
    for buffer, edge, view in zip(buffers, edges, views, strict=True):
        assert 0 < len(view) < buffer.mask.sum()
        assert edge.ravel()[view.pixels].min() >= 1
        assert view.cosine.min() >= 0.05
        assert view.cosine.max() <= 1.001


def test_what_is_rendered_back_of_a_blend_is_what_went_in_where_all_agree():
    views = [random_view(3000, seed) for seed in range(3)]
    colors = [
        np.column_stack([view.places * 200, view.places[:, 0] * 90]).astype(np.float32) for view in views
    ]
    consensus, _ = blend(views, [view.weights(1) for view in views], colors, 16)
    for view, color in zip(views, colors, strict=True):
        inner = (np.abs(view.places - 0.5) < 0.3).all(axis=1)
        assert np.abs(render_back(view, consensus) - color)[inner].max() < 8
