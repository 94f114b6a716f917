"""The pixels of an image of the .blend as Blender shows it with a view without a tone curve: whatever its
colour space, its alpha mode and its bits per channel are."""

import tempfile
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidImage
from .color_spaces import find_byte_space

_IGNORES_ALPHA = {"NONE", "CHANNEL_PACKED"}
"""Alpha modes with which Blender shows an image as opaque."""

_PLAIN_VIEWS = ("Standard", "Un-tone-mapped")
"""What Blender's and ACES' configurations of OpenColorIO call the view without a tone curve."""


def shows_its_file(image: bpy.types.Image) -> bool:
    """Whether an image that was not painted on looks in Blender as its file does in other programs. Does not
    load its pixels."""
    return image.alpha_mode == "STRAIGHT" and _has_byte_space(image)


def read_shown_pixels(image: bpy.types.Image) -> np.ndarray:
    """(H, W, 4) float32 sRGB with straight alpha, row 0 at the bottom; (0, 0, 4) if it has no pixels.

    Raises:
        InvalidImage: the configuration of OpenColorIO has no view that shows such an image without a tone
            curve.
    """
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
        if not _set_plain_view(scene):
            names = "' or '".join(_PLAIN_VIEWS)
            raise InvalidImage(
                f"The image '{image.name}' cannot be read as it looks: this OpenColorIO configuration has no "
                f"view '{names}'. Save the image as a PNG with 8 bits per channel, and choose that file."
            )
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


def _set_plain_view(scene: bpy.types.Scene) -> bool:
    """Whether there is a view without a tone curve, which the scene then has."""
    for name in _PLAIN_VIEWS:
        try:
            scene.view_settings.view_transform = name
        except TypeError:  # the configuration has no such view
            continue
        return True
    return False


def _copy_pixels(image: bpy.types.Image) -> np.ndarray:
    pixels = np.empty((image.size[1], image.size[0], 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    return pixels
