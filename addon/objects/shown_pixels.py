"""The pixels of an image of the .blend as Blender shows it with the view Standard: whatever its colour space,
its alpha mode and its bits per channel are."""

import tempfile
from pathlib import Path

import bpy
import numpy as np

from .color_spaces import find_byte_space

_IGNORES_ALPHA = {"NONE", "CHANNEL_PACKED"}
"""Alpha modes with which Blender shows an image as opaque."""


def shows_its_file(image: bpy.types.Image) -> bool:
    """Whether an image that was not painted on looks in Blender as its file does in other programs. Does not
    load its pixels."""
    return image.alpha_mode == "STRAIGHT" and _has_byte_space(image)


def read_shown_pixels(image: bpy.types.Image) -> np.ndarray:
    """(H, W, 4) float32 sRGB with straight alpha, row 0 at the bottom; (0, 0, 4) if it has no pixels."""
    width, height = image.size
    if width == 0 or height == 0:
        return np.empty((0, 0, 4), np.float32)
    # A float image's pixels are scene-linear, whatever its colour space is called.
    pixels = _copy_pixels(image) if _has_byte_space(image) and not image.is_float else _render(image)
    if image.alpha_mode in _IGNORES_ALPHA:
        pixels[..., 3] = 1
    return pixels


def _has_byte_space(image: bpy.types.Image) -> bool:
    settings = image.colorspace_settings
    return settings.is_data or settings.name == find_byte_space()


def _render(image: bpy.types.Image) -> np.ndarray:
    """The pixels of a file that Blender writes of an image as its view shows it."""
    scene = bpy.data.scenes.new("Orbit Texture Reference")
    shown = None
    try:
        scene.view_settings.view_transform = "Standard"
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "8"
        settings.compression = 0
        with tempfile.TemporaryDirectory(prefix="orbit-texture-") as folder:
            file = str(Path(folder) / "shown.png")
            image.save_render(file, scene=scene)
            shown = bpy.data.images.load(file)
            return _copy_pixels(shown)
    finally:
        if shown:
            bpy.data.images.remove(shown)
        bpy.data.scenes.remove(scene)


def _copy_pixels(image: bpy.types.Image) -> np.ndarray:
    pixels = np.empty((image.size[1], image.size[0], 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    return pixels
