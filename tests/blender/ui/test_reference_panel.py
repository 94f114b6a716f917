"""What the panel says about the check of a reference."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.reference_check.checks import checks
from bl_ext.user_default.orbit_texture.addon.ui.reference_check import (
    describe_direction,
    draw_check,
    draw_check_line,
    draw_findings,
)

from tests.blender import make
from tests.blender.layout import Context, Layout

pytestmark = pytest.mark.worker


@pytest.fixture(autouse=True)
def scene(scripted_worker, tmp_path):
    checks.clear()
    (tmp_path / "reference.png").write_bytes(make.png(60, 40))
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "reference.png"))
    yield
    checks.clear()


def check_now():
    bpy.ops.orbit_texture.check_reference()
    check = checks.find(bpy.context.object, bpy.context.scene.orbit_texture)
    make.poll_until(queue, lambda: not checks.is_at_work(check))
    return check


def draw() -> Layout:
    layout = Layout()
    draw_check_line(layout, Context())
    draw_check(layout, Context())
    return layout


def offered(layout: Layout) -> list[tuple[str, bool]]:
    return [(text, pressed) for name, text, pressed in layout.buttons if name == "choose_view"]


def test_what_was_found_is_a_line():
    make.scripted_cube("Cube")
    check_now()
    layout = draw()
    assert layout.labels == ["Side shown: 30° right, 10° up"]
    assert not offered(layout)


def test_a_doubtful_view_is_asked_about_in_one_sentence_with_the_chosen_one_pressed():
    make.scripted_cube("Cube candidates=4")
    check_now()
    layout = draw()
    assert layout.text == (
        "Which side does it show? See below It is uncertain which side the reference shows. Which one is "
        "right? Texture Selected takes the one "
        "that is pressed. None is right? Correct the mask, or set Side Shown to Pins."
    )
    assert offered(layout) == [
        ("30° right, 10° up", True),
        ("60° right, 10° up", False),
        ("90° right, 10° up", False),
        ("120° right, 10° up", False),
    ]
    bpy.ops.orbit_texture.choose_view(index=1)
    assert [pressed for _, pressed in offered(draw())] == [False, True, False, False]


def test_a_doubt_without_views_to_choose_from_is_a_sentence():
    make.scripted_cube("Cube register=doubt")
    check_now()
    layout = draw()
    assert layout.labels == ["Side shown: 30° right, 10° up", "The view is a test."]
    assert layout.icons == ["ERROR", "ERROR"]


def test_a_photo_that_blender_shows_sideways_is_told_once_its_pixels_are_loaded(tmp_path):
    make.scripted_cube("Cube")
    (tmp_path / "sideways.png").write_bytes(make.png(40, 60))  # the scripted mask is 60 x 40
    image = bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "sideways.png"))
    check_now()
    assert "sideways" not in draw().text
    assert not image.has_data
    assert tuple(image.size) == (40, 60)
    assert "shows this photo sideways" in draw().text


def test_a_worker_that_died_is_asked_again_with_a_button():
    make.scripted_cube("Cube register=crash:SIGKILL")
    check = check_now()
    layout = Layout()
    draw_findings(layout, Context(), check)
    assert "was killed" in layout.text
    assert layout.buttons == [("check_reference", "Check Again", False)]


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ((-156.14, -10.2), "156° left, 10° down"),
        ((0.3, 0.4), "Front, level"),
        ((-0.4, 89.8), "Front, 90° up"),
        ((179.7, 12.0), "Back, 12° up"),
    ],
)
def test_a_direction_is_told_in_words(view, text):
    assert describe_direction(*view) == text
