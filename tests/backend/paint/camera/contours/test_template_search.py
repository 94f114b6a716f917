"""Templates at every scale and place of a reference, against the same in plain numpy."""

import numpy as np
import pytest

from backend.api.errors import InvalidImage
from backend.mesh.prepare import clean
from backend.paint.camera.contours.features import Features, measure_features
from backend.paint.camera.contours.search import view_of
from backend.paint.camera.contours.template_search import (
    OUTSIDE,
    REGION_WEIGHT,
    SCALE_STEP,
    place_templates,
    spans_of,
)
from backend.paint.camera.contours.templates import ORIENTATIONS, render_templates, sphere_of_directions
from backend.render.rasterize import rasterize
from tests.meshes import ignore_progress, mesh_data
from tests.scenes import Scene, chair, mug, photograph, plane, view_at

HEIGHT, WIDTH = 18, 24
SIZES = (0.5, 0.75)
DIRECTIONS = [(20.0, 15.0), (-70.0, 35.0), (150.0, -15.0)]


@pytest.fixture(scope="module")
def templates():
    return render_templates(clean(mesh_data(mug())), DIRECTIONS)


def random_features(seed: int) -> Features:
    rng = np.random.default_rng(seed)
    edges = rng.random((ORIENTATIONS, HEIGHT, WIDTH)).astype(np.float32)
    return Features(edges, rng.random((3, HEIGHT, WIDTH)).astype(np.float32))


def naive_score(templates, features: Features, number: int, size: float, x: int, y: int) -> float:
    """The score of a template with its middle at column x and row y."""
    contour = (templates.contour[number] * np.float32(size)).astype(np.float64)
    places = np.trunc(contour + np.array([x, y])).astype(int)
    response, (height, width) = 0.0, features.foreground.shape[1:]
    for (column, row), channel in zip(places, templates.channel[number], strict=True):
        if 0 <= column < width and 0 <= row < height:
            response += features.edges[channel, row, column]
    pixels = [
        (row + y, column + x)
        for row, first, end in spans_of(templates, number, size)
        for column in range(first, end)
    ]
    own = np.zeros((height, width), bool)
    for row, column in pixels:
        if 0 <= row < height and 0 <= column < width:
            own[row, column] = True
    shared = features.foreground[:, own].sum(axis=1)
    overlap = shared / (len(pixels) + features.foreground.sum(axis=(1, 2)) - shared)
    return response / len(places) + REGION_WEIGHT * overlap.max()


def naive_placement(templates, features: Features, number: int, blocked: np.ndarray) -> tuple:
    """(score, size, x, y) of the best placement of a template."""
    best = (-1.0, 0.0, 0, 0)
    count = int(np.log(SIZES[1] / SIZES[0]) / np.log(SCALE_STEP)) + 1
    for size in WIDTH * SIZES[0] * SCALE_STEP ** np.arange(count):
        low, high = templates.contour[number].min(axis=0) * size, templates.contour[number].max(axis=0) * size
        outside = OUTSIDE * size
        for y in range(int(-low[1] - outside), int(HEIGHT - high[1] + outside) + 1):
            for x in range(int(-low[0] - outside), int(WIDTH - high[0] + outside) + 1):
                if 0 <= y < HEIGHT and 0 <= x < WIDTH and blocked[y, x]:
                    continue
                score = naive_score(templates, features, number, size, x, y)
                best = max(best, (score, size, x, y))
    return best


@pytest.mark.parametrize("taken", [False, True])
def test_placements_are_those_of_a_plain_search(templates, taken):
    features = random_features(3 + taken)
    blocked = np.zeros((HEIGHT, WIDTH), bool)
    if taken:
        # All but a corner.
        blocked[:] = True
        blocked[10:, 13:] = False
    found = place_templates(templates, features, ignore_progress, blocked, SIZES)
    assert [placement.template for placement in found] == [0, 1, 2]
    for number, placement in enumerate(found):
        score, size, x, y = naive_placement(templates, features, number, blocked)
        assert placement.score == pytest.approx(score, abs=1e-4)
        assert placement.size == pytest.approx(size, rel=1e-6)
        assert (placement.x, placement.y) == (x, y)


def test_large_templates_are_compared_with_all_runs_of_some_rows():
    """The handle of a mug makes three runs of a row, of which one is the cup."""
    surface, view = clean(mesh_data(mug())), view_at(10, 15, zoom=0.5)
    color, _ = photograph(surface, view, Scene(paint=(0.92, 0.92, 0.92)))
    templates, features = render_templates(surface, [(10.0, 15.0)]), measure_features(color)
    [best] = place_templates(templates, features, ignore_progress)
    place = int(best.x), int(best.y)
    assert best.size > 40
    assert best.score == pytest.approx(naive_score(templates, features, 0, best.size, *place), abs=0.03)
    found = view_of(templates, best, features.foreground.shape[1:])
    assert 0.85 < found.zoom / view.zoom < 1.15


def test_blocked_places_are_not_taken(templates):
    features = random_features(5)
    free = place_templates(templates, features, ignore_progress, None, SIZES)
    blocked = np.zeros((HEIGHT, WIDTH), bool)
    for placement in free:
        blocked[int(placement.y), int(placement.x)] = True
    again = place_templates(templates, features, ignore_progress, blocked, SIZES)
    for before, after in zip(free, again, strict=True):
        assert not blocked[int(after.y), int(after.x)]
        assert after.score < before.score


def covered(spans: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool: the pixels of spans around the middle."""
    mask = np.zeros((size, size), bool)
    for row, first, end in spans:
        assert not mask[row + size // 2, first + size // 2 : end + size // 2].any(), "counted twice"
        mask[row + size // 2, first + size // 2 : end + size // 2] = True
    return mask


def test_spans_cover_the_pixels_of_the_mask(templates):
    for number, (left, top, right, bottom) in enumerate(templates.box.astype(int)):
        cut = templates.mask[number, top:bottom, left:right]
        # As large as it was rendered they are the mask itself, the hole of the handle included.
        same = covered(spans_of(templates, number, np.sqrt(cut.size)), 256)
        row, column = 128 - cut.shape[0] // 2, 128 - cut.shape[1] // 2
        np.testing.assert_array_equal(same[row : row + cut.shape[0], column : column + cut.shape[1]], cut)
        assert same.sum() == cut.sum()
        # Half as large they cover a quarter.
        half = covered(spans_of(templates, number, np.sqrt(cut.size) / 2), 256)
        assert half.sum() == pytest.approx(cut.sum() / 4, rel=0.03)


def test_a_placed_template_is_the_view_of_its_direction(templates):
    """What the template covers at its place is what the camera of the placement renders."""
    surface, features = clean(mesh_data(mug())), random_features(6)
    for placement in place_templates(templates, features, ignore_progress, None, SIZES):
        scale = 8
        view = view_of(templates, placement, (HEIGHT, WIDTH))
        rendered = rasterize(surface.vertices, surface.faces, view.camera(scale * WIDTH, scale * HEIGHT)).mask
        own = np.zeros_like(rendered)
        for row, first, end in spans_of(templates, placement.template, scale * placement.size):
            row += round(scale * placement.y)
            first, end = (max(int(scale * placement.x + column), 0) for column in (first, end))
            if 0 <= row < len(own):
                own[row, first:end] = True
        assert (own & rendered).sum() / (own | rendered).sum() > 0.93


def test_the_true_direction_and_place_score_best():
    surface = clean(mesh_data(chair()))
    directions = [(40.0, 15.0), (-140.0, 15.0), (0.0, 15.0), (90.0, 15.0), (40.0, 55.0)]
    view = view_at(40, 15, zoom=0.5, x=0.62, y=0.45)
    color, _ = photograph(surface, view, Scene(paint=(0.3, 0.25, 0.5)))
    templates, features = render_templates(surface, directions), measure_features(color)
    placements = place_templates(templates, features, ignore_progress)
    best = max(placements, key=lambda placement: placement.score)
    found = view_of(templates, best, features.foreground.shape[1:])
    assert (found.azimuth, found.elevation) == (40, 15)
    assert abs(found.x - view.x) < 0.04
    assert abs(found.y - view.y) < 0.04
    assert 0.85 < found.zoom / view.zoom < 1.15


def test_directions_from_which_a_plane_is_a_line_are_left_out():
    surface = clean(mesh_data(plane()))
    assert len(render_templates(surface, [(0.0, 0.0), (90.0, 0.0), (180.0, 20.0)])) == 2
    everything = sphere_of_directions()
    assert 0.8 * len(everything) < len(render_templates(surface, everything)) <= len(everything)
    with pytest.raises(InvalidImage, match="from its edge"):
        render_templates(surface, [(90.0, 0.0)])
