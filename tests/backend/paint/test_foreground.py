"""What is cut out of images without alpha, and what the user is told about it."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from backend.api.errors import InvalidImage
from backend.paint.foreground import cut_out
from backend.paint.reference import Reference, decode

SIZE = 512


class Canvas:
    """An image and the mask of the object in it. What is drawn with ``other`` set is not the object."""

    def __init__(self, background=(255, 255, 255)):
        if isinstance(background, np.ndarray):
            self.image = Image.fromarray(background)
        else:
            self.image = Image.new("RGB", (SIZE, SIZE), background)
        self.mask = Image.new("L", (SIZE, SIZE))

    def draw(self, shape: str, points, color, other: bool = False, **options) -> "Canvas":
        getattr(ImageDraw.Draw(self.image), shape)(points, fill=color, **options)
        getattr(ImageDraw.Draw(self.mask), shape)(points, fill=0 if other else 255, **options)
        return self

    def shade(self, shape: str, points, color) -> "Canvas":
        """Draws a shape of the object whose colour depends on the place: ``color(x, y)`` is (H, W, 3)."""
        place = Image.new("L", (SIZE, SIZE))
        getattr(ImageDraw.Draw(place), shape)(points, fill=255)
        y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
        values = np.broadcast_to(color(x, y), (SIZE, SIZE, 3))
        self.image.paste(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)), mask=place)
        self.mask.paste(255, mask=place)
        return self

    def shadow(self, x: float, y: float, width: float, height: float, depth: float = 0.4) -> "Canvas":
        """Darkens the background by a soft shadow; draw it before the object."""
        rows, columns = np.mgrid[0:SIZE, 0:SIZE]
        shadow = np.exp(-(((columns - x) / width) ** 2) - ((rows - y) / height) ** 2)
        shaded = np.asarray(self.image) * (1 - depth * shadow[..., None])
        self.image = Image.fromarray(shaded.astype(np.uint8))
        return self

    def cut(self, quality: int = 0) -> tuple[Reference, np.ndarray]:
        """The cut-out reference, from a PNG or a JPEG of a quality, and the true mask."""
        file = io.BytesIO()
        self.image.save(
            file, *(("JPEG",) if quality else ("PNG",)), **({"quality": quality} if quality else {})
        )
        found = cut_out(decode(np.frombuffer(file.getvalue(), np.uint8)))
        return found, np.asarray(self.mask) > 127


def grey(*values):
    return [(value,) * 3 for value in values]


def gradient(low: float = 190, high: float = 230) -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    values = low + (high - low) * (0.7 * y + 0.3 * x)
    return np.repeat(values[..., None], 3, axis=2).astype(np.uint8)


def noisy(level: float = 200, noise: float = 3) -> np.ndarray:
    noise = np.random.default_rng(0).normal(level, noise, (SIZE, SIZE, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def wood() -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    rings = np.sin(y / 7 + 3 * np.sin(x / 60)) + 0.6 * np.sin(y / 2.3 + x / 90)
    color = np.float32([150, 110, 70]) + rings[..., None] * np.float32([18, 14, 10])
    return np.clip(color + np.random.default_rng(0).normal(0, 3, color.shape), 0, 255).astype(np.uint8)


def cube(top, left, right, background) -> Canvas:
    canvas = Canvas(background)
    canvas.draw("polygon", [(256, 120), (400, 190), (256, 260), (112, 190)], top)
    canvas.draw("polygon", [(112, 190), (256, 260), (256, 420), (112, 350)], left)
    return canvas.draw("polygon", [(400, 190), (256, 260), (256, 420), (400, 350)], right)


def fading(center: float, reach: float, edge: float):
    """White that turns to ``edge`` of itself at ``reach`` pixels to either side."""
    return lambda x, y: 255 * (1 - (1 - edge) * np.minimum(np.abs(x - center) / reach, 1) ** 2)[..., None]


def figure(background=(255, 255, 255)) -> Canvas:
    """A head on a body, in two colours."""
    canvas = Canvas(background)
    canvas.draw("rectangle", [170, 230, 340, 440], (60, 90, 170))
    return canvas.draw("ellipse", [180, 90, 330, 250], (220, 170, 60))


PALE = {
    "cube": lambda: cube(*grey(255, 244, 236), (250, 250, 250)),
    "brighter cube": lambda: cube(*grey(252, 246, 240), (238, 238, 238)),
    "cream vase": lambda: Canvas((250, 250, 250)).draw("ellipse", [150, 100, 360, 430], (246, 243, 238)),
    "white egg": lambda: Canvas((247, 248, 249)).draw("ellipse", [150, 100, 360, 430], (255, 255, 255)),
    "grey slab": lambda: Canvas((128, 128, 128)).draw("rectangle", [120, 160, 400, 380], (132, 132, 133)),
    "mug": lambda: (
        Canvas()
        .shade("rectangle", [150, 120, 351, 410], fading(250, 100, 0.9))
        .draw("rectangle", [150, 240, 350, 280], (200, 30, 30))
    ),
    "bottle": lambda: (
        Canvas()
        .shade("rectangle", [190, 120, 320, 450], fading(255, 65, 0.85))
        .draw("rectangle", [225, 70, 285, 120], (30, 30, 30))
        .draw("rectangle", [190, 250, 320, 350], (40, 120, 60))
    ),
    "plate": lambda: (
        Canvas()
        .draw("ellipse", [90, 150, 420, 380], (40, 70, 180))
        .draw("ellipse", [96, 156, 414, 374], (255, 255, 255))
    ),
    "shirt": lambda: (
        Canvas((253, 253, 253))
        .shade(
            "polygon",
            [(180, 100), (330, 100), (430, 200), (340, 230), (340, 430), (170, 430), (170, 230), (80, 200)],
            fading(255, 170, 0.92),
        )
        .draw("ellipse", [215, 200, 295, 280], (220, 40, 90))
    ),
}

CLOSE_UPS = {
    "left, top and bottom": lambda: Canvas().draw("ellipse", [-100, -100, 460, 700], (40, 90, 200)),
    "left, right and bottom": lambda: Canvas((200, 205, 210)).draw(
        "ellipse", [-60, 60, 570, 900], (170, 60, 50)
    ),
    "right, top and bottom": lambda: (
        Canvas(gradient())
        .draw("rectangle", [120, -1, 520, 520], (60, 120, 70))
        .draw("ellipse", [220, 150, 380, 330], (240, 220, 90))
    ),
    "all but the corners": lambda: Canvas().draw("ellipse", [-70, -70, 580, 580], (90, 60, 30)),
    "a patterned one": lambda: (
        Canvas()
        .draw("ellipse", [-120, -90, 470, 600], (40, 90, 200))
        .draw("rectangle", [-1, 200, 440, 260], (240, 240, 230))
    ),
}

BESIDE = {
    "a thing in the corner": lambda: (
        Canvas()
        .draw("rectangle", [0, 300, 120, 512], (30, 140, 60), other=True)
        .draw("ellipse", [200, 120, 430, 420], (210, 30, 30))
    ),
    "a bar at the right": lambda: (
        Canvas((225, 222, 218))
        .draw("rectangle", [460, 0, 512, 512], (60, 60, 70), other=True)
        .draw("ellipse", [120, 120, 380, 420], (210, 130, 30))
    ),
    "a hand from below": lambda: (
        Canvas(gradient())
        .draw("polygon", [(330, 512), (380, 380), (430, 390), (470, 512)], (215, 165, 140), other=True)
        .draw("rectangle", [120, 100, 310, 400], (40, 60, 150))
    ),
    "a table edge": lambda: (
        Canvas((235, 235, 240))
        .draw("rectangle", [0, 470, 512, 512], (120, 80, 50), other=True)
        .draw("ellipse", [150, 100, 370, 430], (40, 130, 120))
    ),
    "things in two corners": lambda: (
        figure(noisy())
        .draw("rectangle", [0, 0, 90, 120], (130, 40, 40), other=True)
        .draw("rectangle", [430, 380, 512, 512], (30, 90, 60), other=True)
    ),
}

SEVERAL = {
    "front and back": lambda: (
        Canvas()
        .draw("ellipse", [280, 100, 480, 420], (40, 60, 190), other=True)
        .draw("ellipse", [30, 100, 230, 420], (200, 40, 40))
    ),
    "one above the other": lambda: (
        Canvas((210, 215, 220))
        .draw("rectangle", [180, 290, 330, 480], (60, 60, 60), other=True)
        .draw("rectangle", [170, 40, 340, 240], (220, 170, 40))
    ),
    "three in a row": lambda: (
        Canvas(gradient())
        .draw("rectangle", [190, 150, 320, 380], (60, 60, 60), other=True)
        .draw("rectangle", [360, 150, 480, 380], (60, 90, 60), other=True)
        .draw("rectangle", [30, 150, 150, 380], (200, 30, 60))
    ),
    "a large one and a small one": lambda: (
        Canvas()
        .draw("ellipse", [380, 330, 490, 440], (40, 60, 190), other=True)
        .draw("ellipse", [60, 80, 320, 440], (200, 40, 40))
    ),
}


def antennas(background=(255, 255, 255), color=(0, 0, 0), width: int = 2) -> Canvas:
    canvas = Canvas(background).draw("ellipse", [130, 200, 380, 450], (60, 150, 60))
    canvas.draw("line", [200, 220, 120, 40], color, width=width)
    return canvas.draw("line", [310, 220, 390, 40], color, width=width)


def stool(background=(255, 255, 255)) -> Canvas:
    canvas = Canvas(background).draw("ellipse", [130, 130, 380, 220], (170, 40, 40))
    for top, bottom in ((170, 140), (230, 220), (290, 300), (340, 370)):
        canvas.draw("line", [top, 190, bottom, 460], (70, 50, 30), width=2)
    return canvas


def kettle() -> Canvas:
    canvas = Canvas(gradient()).draw("ellipse", [130, 220, 380, 440], (40, 60, 120))
    for part in (canvas.image, canvas.mask):
        color = (40, 40, 40) if part is canvas.image else 255
        ImageDraw.Draw(part).arc([160, 80, 350, 320], 150, 390, fill=color, width=2)
    return canvas


THIN = {
    "antennas": antennas,
    "antennas on grey": lambda: antennas((190, 192, 195), (120, 20, 20)),
    "antennas on a gradient": lambda: antennas(gradient()),
    "antennas before a noisy wall": lambda: antennas(noisy()),
    "a stool": stool,
    "a stool on grey": lambda: stool(gradient()),
    "the handle of a kettle": kettle,
}
"""Parts that are two pixels thin."""


def star() -> list[tuple[float, float]]:
    angles = np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2, 90, 200)
    return [(256 + r * np.sin(a), 256 - r * np.cos(a)) for r, a in zip(radius, angles, strict=True)]


CLEAN = {
    "figure": figure,
    "figure on grey": lambda: figure((180, 180, 182)),
    "figure on a gradient": lambda: figure(gradient()),
    "figure before a noisy wall": lambda: figure(noisy()),
    "figure with a shadow": lambda: figure(np.asarray(Canvas(gradient()).shadow(270, 440, 160, 30).image)),
    "star": lambda: Canvas((240, 240, 235)).draw("polygon", star(), (90, 40, 120)),
    "dark on dark": lambda: Canvas((40, 42, 45)).draw("polygon", star(), (100, 60, 40)),
    "ring": lambda: (
        Canvas()
        .draw("ellipse", [100, 100, 410, 410], (200, 60, 40))
        .draw("ellipse", [190, 190, 320, 320], (255,) * 3, other=True)
    ),
    "white ball on grey": lambda: Canvas((200, 200, 200)).shade(
        "ellipse", [120, 110, 390, 380], lambda x, y: (250 - 0.05 * (x + y - 230))[..., None]
    ),
    "cut off below": lambda: Canvas((225, 230, 235)).draw("rectangle", [150, 200, 360, 520], (60, 90, 150)),
    "a wooden block on wood": lambda: Canvas(wood()).draw("rectangle", [150, 130, 380, 400], (50, 90, 170)),
    "antennas": antennas,
    "a speck of dust": lambda: figure().draw("rectangle", [40, 40, 50, 50], (90, 90, 90), other=True),
}


def overlap(found: Reference, truth: np.ndarray) -> float:
    """Intersection over union."""
    mask = found.alpha > 0.5
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.mark.parametrize("quality", [0, 85])
@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_object_is_cut_out_and_nothing_is_noted(name, quality):
    found, truth = CLEAN[name]().cut(quality)
    assert overlap(found, truth) > 0.95
    assert found.notes == ()


@pytest.mark.parametrize("name", THIN)
def test_thin_parts_belong_to_the_object(name):
    found, truth = THIN[name]().cut(85)
    assert overlap(found, truth) > 0.97
    assert found.notes == ()


def list_doubts(canvas: Canvas) -> tuple[bool, tuple[str, ...]]:
    """Whether the object is cut out exactly, and what the user is told."""
    try:
        found, truth = canvas.cut()
    except InvalidImage as error:
        return False, (error.message,)
    return overlap(found, truth) > 0.95, found.mask_notes


@pytest.mark.parametrize("name", PALE | CLOSE_UPS)
def test_an_object_that_is_not_cut_out_exactly_is_noted(name):
    exact, doubts = list_doubts((PALE | CLOSE_UPS)[name]())
    assert exact or doubts


@pytest.mark.parametrize("name", ["cube", "white egg", "grey slab"])
def test_a_faint_object_with_a_sharp_outline_is_cut_out(name):
    found, truth = PALE[name]().cut()
    assert overlap(found, truth) > 0.95
    assert found.notes == ()


@pytest.mark.parametrize("name", BESIDE)
def test_what_the_border_cuts_off_beside_the_object_is_left_out(name):
    found, truth = BESIDE[name]().cut(85)
    assert overlap(found, truth) > 0.95
    assert len(found.notes) <= 1
    assert all("was left out" in note for note in found.notes)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_things_are_noted(name):
    [note] = SEVERAL[name]().cut()[0].mask_notes
    assert "separate things" in note


@pytest.mark.parametrize("name", ["left, top and bottom", "all but the corners"])
def test_a_close_up_is_cut_out_and_noted(name):
    found, truth = CLOSE_UPS[name]().cut()
    assert overlap(found, truth) > 0.95
    [note] = found.mask_notes
    assert "borders of the reference image cut the object off" in note


FULL = {"plain": (120, 60, 30), "wood": wood(), "noise": noisy(128, 30)}


@pytest.mark.parametrize("name", FULL)
def test_an_object_that_fills_the_image_is_reported(name):
    canvas = Canvas(FULL[name])
    canvas.mask.paste(255, (0, 0, SIZE, SIZE))
    exact, [doubt] = list_doubts(canvas)
    assert not exact
    assert "shows the whole object" in doubt


def test_an_alpha_of_the_images_own_is_kept_without_notes():
    canvas = SEVERAL["front and back"]()
    alpha = np.where(np.asarray(canvas.image).min(axis=2) < 255, 255, 0).astype(np.uint8)
    found = cut_out(decode(np.dstack([np.asarray(canvas.image), alpha])))
    np.testing.assert_array_equal(found.alpha > 0.5, alpha > 0)
    assert found.notes == ()


def test_another_mask_has_no_notes_of_the_one_before():
    found, truth = SEVERAL["front and back"]().cut()
    assert found.mask_notes
    assert found.with_alpha(truth.astype(np.float32)).notes == found.image_notes
