"""A reference is followed as Blender shows it: alpha mode, colour space, bits per channel, and what was
painted on it."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import reference

pytestmark = pytest.mark.every_blender

HALF_LINEAR = 0.7354
"""sRGB of half the light of white."""


def sent(image: bpy.types.Image) -> np.ndarray | None:
    """The pixels that are sent, None if the file is."""
    found = reference.from_image(image)
    return found() if callable(found) else None


def save(
    path: Path, value: float, alpha: float = 1.0, depth: str = "8", kind: str = "PNG"
) -> bpy.types.Image:
    """An image file whose values are stored as given, loaded anew."""
    image = bpy.data.images.new("made", 8, 8, alpha=True, float_buffer=depth != "8", is_data=True)
    image.pixels.foreach_set(np.tile(np.float32([value, value, value, alpha]), 64))
    scene = bpy.data.scenes.new("made")
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth = kind, depth
    settings.color_mode = "RGB" if kind == "HDR" else "RGBA"
    image.save_render(str(path), scene=scene)
    bpy.data.scenes.remove(scene)
    bpy.data.images.remove(image)
    return bpy.data.images.load(str(path))


def test_an_ordinary_file_is_sent_as_it_is(tmp_path):
    image = save(tmp_path / "plain.png", 0.5, 0.3)
    assert reference.from_image(image) == tmp_path / "plain.png"
    assert not image.has_data, "its pixels were not loaded for that"


@pytest.mark.parametrize("mode", ["NONE", "CHANNEL_PACKED"])
def test_an_alpha_that_blender_ignores_is_ignored(tmp_path, mode):
    image = save(tmp_path / "packed.png", 0.5, 0.3)
    image.alpha_mode = mode
    pixels = sent(image)
    assert pixels[..., 3].min() == 1
    assert pixels[0, 0, 0] == pytest.approx(0.5, abs=0.01)


def test_a_premultiplied_file_is_sent_with_straight_alpha(tmp_path):
    image = save(tmp_path / "premultiplied.png", 0.25, 0.5)
    image.alpha_mode = "PREMUL"
    assert sent(image)[0, 0] == pytest.approx([0.5, 0.5, 0.5, 0.5], abs=0.02)


def test_another_colour_space_is_shown(tmp_path):
    image = save(tmp_path / "linear.png", 0.5)
    image.colorspace_settings.name = "Linear Rec.709"
    assert sent(image)[0, 0, 0] == pytest.approx(HALF_LINEAR, abs=0.01)


@pytest.mark.parametrize("is_painted", [True, False])
@pytest.mark.parametrize("kind", ["OPEN_EXR", "HDR"])
def test_float_images_are_shown_with_white_as_white(tmp_path, kind, is_painted):
    depth = "16" if kind == "OPEN_EXR" else "32"
    image = save(tmp_path / f"float.{kind[-3:].lower()}", 0.5, depth=depth, kind=kind)
    if is_painted:
        image.pixels[:4] = (4.0, 4.0, 4.0, 1.0)
    pixels = sent(image)
    assert pixels[0, 5, 0] == pytest.approx(HALF_LINEAR, abs=0.01)
    assert pixels.max() <= 1
    assert (pixels[-1, 0, 0] == 1) == is_painted


def test_a_painted_16_bit_image_is_shown(tmp_path):
    image = save(tmp_path / "deep.png", HALF_LINEAR, depth="16")
    image.pixels[:4] = (0.0, 0.0, 0.0, 1.0)
    pixels = sent(image)
    assert pixels[0, 5, 0] == pytest.approx(HALF_LINEAR, abs=0.01)
    assert pixels[-1, 0, 0] == 0


@pytest.mark.parametrize("is_float", [True, False])
def test_a_generated_image_is_shown(is_float):
    image = bpy.data.images.new("generated", 8, 8, float_buffer=is_float)
    image.pixels.foreach_set(np.tile(np.float32([0.5, 0.5, 0.5, 1]), 64))
    assert sent(image)[0, 0, 0] == pytest.approx(HALF_LINEAR if is_float else 0.5, abs=0.01)


def test_nothing_is_left_in_the_file(tmp_path):
    image = save(tmp_path / "linear.png", 0.5)
    image.colorspace_settings.name = "Linear Rec.709"
    before = len(bpy.data.images), len(bpy.data.scenes)
    sent(image)
    assert (len(bpy.data.images), len(bpy.data.scenes)) == before
