"""Lettering in the reference: rows of letters, and patterns that are none."""

from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from backend.paint.draft.image.lettering import detect_lettering
from benchmarks.scenes import text_page


def test_lettering_is_detected_and_blots_are_not():
    page = text_page(800, 600)[:, :600].astype(np.float32) / 255
    everywhere = np.ones(page.shape[:2], bool)
    assert detect_lettering(page, everywhere).mean() > 0.7
    blots = np.full((600, 600, 3), 0.9, np.float32)
    for row, column, radius in ((100, 150, 30), (350, 420, 60), (480, 130, 45)):
        y, x = np.ogrid[:600, :600]
        blots[(y - row) ** 2 + (x - column) ** 2 < radius**2] = 0.2
    assert not detect_lettering(blots, everywhere).any()


@pytest.mark.parametrize("degrees", [0, 30, -45])
def test_a_slanted_line_of_letters_is_detected(degrees):
    page = Image.new("RGB", (500, 500), (230, 230, 230))
    ImageDraw.Draw(page).text(
        (250, 250), "Orbit Texture", (20, 20, 60), ImageFont.load_default(size=40), "mm"
    )
    page = np.asarray(page.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(230, 230, 230)))
    found, ink = detect_lettering(page / np.float32(255), np.ones((500, 500), bool)), page[..., 0] < 100
    assert found[ink].mean() > 0.9
    assert found.mean() < 0.15


def test_scattered_sprigs_are_not_detected_as_lettering():
    random, cloth = np.random.default_rng(1), np.full((400, 400, 3), 0.8, np.float32)
    for row, column in product(range(20, 390, 36), range(20, 390, 36)):
        y, x = row + random.integers(-9, 10), column + random.integers(-9, 10)
        cloth[y - 9 : y + 10, x - 2 : x + 2] = cloth[y - 2 : y + 2, x - 8 : x + 9] = 0.3
    assert detect_lettering(cloth, np.ones((400, 400), bool)).mean() < 0.2


def test_a_pattern_of_tiles_is_not_detected_as_lettering():
    rows, columns = np.mgrid[:300, :300]
    across = columns + 14 * (rows // 20 % 2)
    tiles = (np.hypot(rows % 20 - 9.5, across % 28 - 13.5) < 11) & (rows % 20 > 2) & (across % 28 > 4)
    assert not detect_lettering(
        np.repeat(np.where(tiles, 0.3, 0.8)[..., None], 3, axis=2).astype(np.float32),
        np.ones((300, 300), bool),
    ).any()
