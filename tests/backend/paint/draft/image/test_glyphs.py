"""Large letters and digits in the reference, and what is none."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from backend.paint.draft.image.glyphs import detect_glyphs
from benchmarks import draft
from tests.meshes import needs_assets

GROUND, INK = (200, 190, 170), (30, 40, 90)
EVERYWHERE = np.ones((360, 360), bool)


def draw(paint) -> np.ndarray:
    """(360, 360, 3) float32 sRGB: what ``paint`` draws on plain ground, with soft edges."""
    image = Image.new("RGB", (720, 720), GROUND)
    paint(ImageDraw.Draw(image))
    return np.asarray(image.resize((360, 360), Image.Resampling.BOX), np.float32) / 255


def write(text: str, size: int, place: tuple[int, int] = (360, 360)):
    return lambda image: image.text(place, text, INK, ImageFont.load_default(size), "mm")


def shade(image: np.ndarray) -> np.ndarray:
    """The image under light from the left."""
    return image * np.linspace(1, 0.6, image.shape[1], dtype=np.float32)[:, None]


@pytest.mark.parametrize("text", ["R", "53", "217", "ORBIT", "No 5", "exit", "GATE 12"])
@pytest.mark.parametrize("light", [lambda image: image, shade], ids=["even", "from the left"])
def test_letters_and_digits_are_found_with_all_their_ink_and_little_else(text, light):
    image = draw(write(text, 150))
    ink = image[..., 0] < 0.5
    found = detect_glyphs(light(image), EVERYWHERE)
    assert found[ink].mean() > 0.98
    assert found.sum() < 2.5 * ink.sum()


def test_letters_are_found_on_a_plate_that_is_small_beside_the_object():
    def paint(image):
        image.rectangle((0, 0, 720, 720), (120, 80, 40))
        image.rectangle((250, 100, 430, 190), GROUND)
        write("604", 70, (340, 145))(image)

    image = draw(paint)
    ink = np.abs(image - np.float32(INK) / 255).max(axis=2) < 0.15
    assert detect_glyphs(image, EVERYWHERE)[ink].mean() > 0.98


def test_letters_are_found_at_any_size_of_the_image():
    image = draw(write("ORBIT", 150))
    large = np.repeat(np.repeat(image, 5, axis=0), 5, axis=1)
    found = detect_glyphs(large, np.ones(large.shape[:2], bool))
    assert found[large[..., 0] < 0.5].mean() > 0.98


def draw_face(image):
    for x in (250, 470):
        image.ellipse((x - 70, 220, x + 70, 320), (250, 250, 250))
        image.ellipse((x - 30, 240, x + 30, 300), INK)
    image.rectangle((260, 480, 460, 520), (170, 30, 40))


def draw_spots(image):
    for x, y, a, b in ((150, 200, 60, 40), (420, 300, 90, 50), (300, 560, 40, 80), (560, 520, 50, 50)):
        image.ellipse((x - a, y - b, x + a, y + b), INK)


def draw_stripes(image):
    for x in range(0, 720, 60):
        image.rectangle((x, 0, x + 25, 720), INK)


def draw_checks(image):
    for x in range(0, 720, 80):
        for y in range(x % 160, 720, 160):
            image.rectangle((x, y, x + 79, y + 79), INK)


def draw_wheels(image):
    for x in (200, 520):
        image.ellipse((x - 100, 400, x + 100, 600), INK)
        image.ellipse((x - 50, 450, x + 50, 550), (160, 160, 165))
    image.polygon([(150, 150), (560, 150), (640, 300), (80, 300)], (150, 200, 230))


@pytest.mark.parametrize("paint", [draw_face, draw_spots, draw_stripes, draw_checks, draw_wheels])
def test_what_is_mirrored_rightly_is_no_glyph(paint):
    assert not detect_glyphs(draw(paint), EVERYWHERE).any()


@pytest.mark.parametrize("name", ["pot", "plaid-knot", pytest.param("spot", marks=needs_assets)])
def test_patterns_have_no_glyphs(name):
    scene = draft.SCENES[name]()
    reference = draft.photograph_reference(scene, draft.orbit_cameras()[0])
    assert not detect_glyphs(reference.color, reference.alpha > 0.5).any()


def test_an_image_of_nothing_has_no_glyphs():
    assert not detect_glyphs(draw(write("R", 200)), ~EVERYWHERE).any()
