"""Sheets with several views of an object are split into pictures."""

import cv2
import numpy as np
import pytest

from backend.paint.reference import decode
from backend.paint.sheet import split_sheet

GROUNDS = {"white": (255, 255, 255), "grey": (180, 180, 185), "transparent": None}
COLORS = ((200, 60, 40), (50, 90, 200), (60, 160, 70), (210, 170, 40))


def draw_figure(sheet: np.ndarray, x: int, y: int, color, size: int = 60) -> None:
    """A body with arms, and a hat that floats above it."""
    cv2.ellipse(sheet, (x, y), (size // 2, size), 0, 0, 360, (*color, 255), -1)
    cv2.line(sheet, (x - size, y), (x + size, y), (*color, 255), 5)
    cv2.ellipse(sheet, (x, y - size - 22), (size // 2, 12), 0, 0, 360, (20, 20, 20, 255), -1)


def make_sheet(places, ground="white", width=900, height=420) -> np.ndarray:
    """(H, W, 4) uint8 with figures at places, in the colours in turn."""
    fill = GROUNDS[ground]
    sheet = np.zeros((height, width, 4), np.uint8)
    if fill:
        sheet[:] = (*fill, 255)
        noise = np.random.default_rng(0).integers(-1, 2, sheet.shape[:2])
        sheet[..., :3] = np.clip(sheet[..., :3].astype(int) + noise[..., None], 0, 255)
    for (x, y), color in zip(places, COLORS, strict=False):
        draw_figure(sheet, x, y, color)
    return sheet


def main_color(view) -> tuple[int, ...]:
    """The commonest strong colour of a view."""
    shown = np.round(255 * view.color[view.alpha > 0.9]).astype(int)
    strong = shown[np.ptp(shown, axis=1) > 60]
    values, counts = np.unique(strong // 20, axis=0, return_counts=True)
    return tuple(20 * values[counts.argmax()])


def is_near(color, wanted) -> bool:
    return np.abs(np.array(color) - wanted).max() <= 25


@pytest.mark.parametrize("ground", list(GROUNDS))
def test_views_in_a_row_come_back_from_left_to_right(ground):
    views = split_sheet(decode(make_sheet([(150, 210), (450, 210), (750, 210)], ground)))
    assert len(views) == 3
    for view, color in zip(views, COLORS, strict=False):
        assert is_near(main_color(view), color)
        assert view.alpha[0].max() == view.alpha[:, 0].max() == 0
        # The hat belongs to the figure.
        rows = np.flatnonzero((view.alpha > 0.5).any(axis=1))
        assert rows[-1] - rows[0] > 140


def test_views_in_a_grid_come_back_row_by_row():
    views = split_sheet(
        decode(make_sheet([(150, 140), (600, 160), (160, 480), (610, 470)], height=620, width=780))
    )
    assert [next(n for n, c in enumerate(COLORS) if is_near(main_color(view), c)) for view in views] == [
        0,
        1,
        2,
        3,
    ]


def test_captions_and_lines_are_left_out():
    sheet = make_sheet([(150, 200), (450, 200), (750, 200)])
    drawn = np.ascontiguousarray(sheet[..., :3])
    for x, word in ((110, "FRONT"), (420, "SIDE"), (720, "BACK")):
        cv2.putText(drawn, word, (x, 380), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2)
    for x in (300, 600):
        cv2.line(drawn, (x, 20), (x, 400), (120, 120, 120), 2)
    sheet[..., :3] = drawn
    views = split_sheet(decode(sheet))
    assert len(views) == 3
    for view in views:
        assert np.flatnonzero((view.alpha > 0.5).any(axis=1))[-1] < view.alpha.shape[0] - 5
        height = np.ptp(np.flatnonzero((view.alpha > 0.5).any(axis=1)))
        assert 140 < height < 180
        # The ground is painted over them.
        assert view.color[cv2.dilate((view.alpha > 0).astype(np.uint8), np.ones((9, 9))) == 0].min() > 0.9


def test_an_image_of_one_object_is_one_picture():
    [view] = split_sheet(decode(make_sheet([(300, 210)], width=600)))
    assert is_near(main_color(view), COLORS[0])


def test_the_pixels_of_a_view_are_those_of_the_sheet():
    sheet = make_sheet([(150, 210), (450, 210)], width=620)
    views = split_sheet(decode(sheet))
    for view in views:
        inside = view.alpha > 0.99
        found = {tuple(color) for color in np.round(255 * view.color[inside]).astype(int)}
        assert found <= {tuple(color) for color in sheet[..., :3].reshape(-1, 3).astype(int)}


def test_an_empty_sheet_has_no_views():
    assert split_sheet(decode(make_sheet([]))) == []
