"""Guides of the draft: dissimilar parts of a surface, and whether the exemplar is one pattern."""

from dataclasses import replace

import numpy as np

from backend.paint.draft.fill.exemplar import Exemplar
from backend.paint.draft.fill.guides import part_dissimilarity
from backend.paint.draft.fill.seam_prior import stationarity
from benchmarks.scenes import text_page


def exemplar_of(image: np.ndarray) -> Exemplar:
    """An exemplar with an image (H, W, 3) float32 of which only the colours matter."""
    shape = image.shape[:2]
    return Exemplar(
        scales=np.ones(1),
        starts=np.zeros(1, np.float32),
        sizes=np.array([shape[::-1]]),
        has_lettering=False,
        colors=image,
        usable=np.ones(shape, bool),
        frames=np.zeros((*shape, 3, 3), np.float32),
        jacobian=np.zeros((*shape, 2, 2), np.float32),
        points=np.zeros_like(image),
    )


def stripes_of(dark: float, light: float) -> np.ndarray:
    """(200, 200, 3) float32 grey stripes 5 pixels wide."""
    columns = np.where(np.arange(200) // 5 % 2 == 0, np.float32(dark), np.float32(light))
    return np.broadcast_to(columns[None, :, None], (200, 200, 3)).copy()


def stationarity_of(image: np.ndarray, part: np.ndarray | None = None) -> float:
    """The stationarity of an image (H, W, 3) whose pixels lie on parts (H, W), with two pixels between
    samples."""
    step = np.float32([(2, 0), (0, -2)])
    exemplar = replace(exemplar_of(image), jacobian=np.tile(step, (*image.shape[:2], 1, 1)))
    part = np.zeros(image.shape[:2], np.int32) if part is None else part
    return stationarity(exemplar, part.ravel(), 1.0)


def test_stripes_and_lettering_are_stationary_and_a_face_under_hair_is_not():
    face = stripes_of(0.2, 0.6)
    face[80:, 40:160] = (0.9, 0.8, 0.7)
    page = text_page(800, 400)[:, :400].astype(np.float32) / 255
    assert stationarity_of(stripes_of(0.2, 0.6)) == stationarity_of(page) == 1
    assert stationarity_of(face) < 0.2


def test_parts_with_patterns_of_other_colours_are_each_stationary():
    wing_and_body = np.hstack([stripes_of(0.0, 0.3), stripes_of(0.6, 0.9)])
    part = (np.arange(400) // 200 * np.ones((200, 1))).astype(np.int32)
    assert stationarity_of(wing_and_body) < 0.2
    assert stationarity_of(wing_and_body, part) == 1


def test_parts_of_other_colours_are_dissimilar_and_hidden_parts_to_none():
    first_grain, other = (
        np.random.default_rng(seed).random((16, 10, 3)).astype(np.float32) for seed in (0, 1)
    )
    image = np.hstack([first_grain, other, 0.2 * other + np.float32((2, 0, 0))])
    columns = np.broadcast_to(np.arange(30) // 10, (16, 30)).ravel()
    number, theirs, dissimilarity = part_dissimilarity(
        np.array([0, 1, 2, 3]), np.zeros(4, int), exemplar_of(image), columns
    )
    first, second, red, hidden = number
    assert theirs[0, [0, 10, 20]].tolist() == [first, second, red]
    assert dissimilarity[first, second] == 0
    assert min(dissimilarity[first, red], dissimilarity[red, second]) > 0.5
    assert not dissimilarity[hidden].any()


def test_a_hidden_part_counts_as_its_material_slot():
    image = np.random.default_rng(0).random((16, 20, 3)).astype(np.float32)
    image[:, 10:] = 0.2 * image[:, 10:] + np.float32((2, 0, 0))
    columns = np.broadcast_to(np.arange(20) // 10, (16, 20)).ravel()
    number, _, dissimilarity = part_dissimilarity(
        np.arange(5), np.array([0, 1, 0, 1, 2]), exemplar_of(image), columns
    )
    first, red, hidden, hidden_red, other = number
    assert dissimilarity[hidden, first] == dissimilarity[hidden_red, red] == 0
    assert min(dissimilarity[hidden, red], dissimilarity[hidden_red, first]) > 0.5
    assert not dissimilarity[other].any(), "the image shows nothing of that slot"


def test_flat_parts_of_one_colour_under_another_light_are_similar():
    image = np.concatenate([np.full((16, 10, 3), grey, np.float32) for grey in (0.80, 0.82, 0.40)], axis=1)
    columns = np.broadcast_to(np.arange(30) // 10, (16, 30)).ravel()
    (white, shaded, dark), _, dissimilarity = part_dissimilarity(
        np.array([0, 1, 2]), np.zeros(3, int), exemplar_of(image), columns
    )
    assert dissimilarity[white, shaded] == 0
    assert dissimilarity[white, dark] == dissimilarity[shaded, dark] == 1
