"""What the picture tells of parts of the surface, and of itself."""

from dataclasses import replace

import numpy as np

from backend.paint.draft.fill.exemplar import Source
from backend.paint.draft.fill.guides import unlike
from backend.paint.draft.fill.seam_prior import patterned
from benchmarks.scenes import text_page


def seen_squarely(image: np.ndarray) -> Source:
    """A source with an image (H, W, 3) float32 of which only the colours matter."""
    usable = np.ones(image.shape[:2], bool)
    frames, steps = np.zeros((*usable.shape, 3, 3), np.float32), np.zeros((*usable.shape, 2, 2), np.float32)
    return Source(1.0, False, image, usable, frames, steps, np.zeros_like(image))


def test_stripes_and_print_are_a_pattern_and_a_face_under_hair_is_none():
    stripes = np.where(
        np.arange(200)[None, :, None] // 5 % 2 == 0, np.float32(0.2), np.float32(0.6)
    ) * np.ones((200, 1, 3), np.float32)
    face = stripes.copy()
    face[80:, 40:160] = (0.9, 0.8, 0.7)
    page = text_page(800, 400)[:, :400].astype(np.float32) / 255
    # Two pixels between samples.
    step = np.float32([(2, 0), (0, -2)])
    pattern, print_, thing = (
        patterned(replace(seen_squarely(image), steps=np.tile(step, (*image.shape[:2], 1, 1))), 1.0)
        for image in (stripes, page, face)
    )
    assert pattern == print_ == 1
    assert thing < 0.2


def test_parts_are_unlike_where_their_colours_are_and_what_is_not_shown_is_like_all():
    print_, other = (np.random.default_rng(seed).random((16, 10, 3)).astype(np.float32) for seed in (0, 1))
    image = np.hstack([print_, other, 0.2 * other + np.float32((2, 0, 0))])
    columns = np.broadcast_to(np.arange(30) // 10, (16, 30)).ravel()
    number, theirs, between = unlike(np.array([0, 1, 2, 3]), np.zeros(4, int), seen_squarely(image), columns)
    first, second, red, hidden = number
    assert theirs[0, [0, 10, 20]].tolist() == [first, second, red]
    assert between[first, second] == 0
    assert min(between[first, red], between[red, second]) > 0.5
    assert not between[hidden].any()


def test_a_part_that_is_not_shown_passes_for_its_material_slot():
    image = np.random.default_rng(0).random((16, 20, 3)).astype(np.float32)
    image[:, 10:] = 0.2 * image[:, 10:] + np.float32((2, 0, 0))
    columns = np.broadcast_to(np.arange(20) // 10, (16, 20)).ravel()
    number, _, between = unlike(np.arange(5), np.array([0, 1, 0, 1, 2]), seen_squarely(image), columns)
    first, red, hidden, hidden_red, other = number
    assert between[hidden, first] == between[hidden_red, red] == 0
    assert min(between[hidden, red], between[hidden_red, first]) > 0.5
    assert not between[other].any(), "of that slot the picture shows nothing"


def test_flat_parts_of_one_colour_under_another_light_are_alike():
    image = np.concatenate([np.full((16, 10, 3), grey, np.float32) for grey in (0.80, 0.82, 0.40)], axis=1)
    columns = np.broadcast_to(np.arange(30) // 10, (16, 30)).ravel()
    (white, shaded, dark), _, between = unlike(
        np.array([0, 1, 2]), np.zeros(3, int), seen_squarely(image), columns
    )
    assert between[white, shaded] == 0
    assert between[white, dark] == between[shaded, dark] == 1
