"""Compares the table of Blender's AgX view transform with Blender itself.
``python -m tests.blender.test_agx`` writes the table."""

from pathlib import Path

import bpy
import numpy as np
import pytest

TABLE = Path(__file__).parents[2] / "backend" / "paint" / "orbitpainter" / "agx.png"
TABLE_SIZE = 33
"""Entries of the table along each of red, green and blue."""


def save_with_agx(colors: np.ndarray, path: Path) -> None:
    """Saves sRGB-encoded colours (H, W, 3) through Blender's AgX view transform, in 16 bits."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    height, width = colors.shape[:2]
    image = bpy.data.images.new("colors", width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    # Blender's first row is the lowest.
    image.pixels.foreach_set(np.dstack([linear, np.ones((height, width))])[::-1].astype(np.float32).ravel())
    scene = bpy.context.scene
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "None"
    output = scene.render.image_settings
    output.file_format, output.color_depth, output.color_mode, output.compression = "PNG", "16", "RGB", 100
    image.save_render(str(path), scene=scene)
    bpy.data.images.remove(image)


def read_pixels(path: Path) -> np.ndarray:
    """The pixels (H, W, 3) float32 0..1 of a file, without colour management."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    height, width = image.size[1], image.size[0]
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1, :, :3]


def color_grid() -> np.ndarray:
    steps = np.linspace(0, 1, TABLE_SIZE)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(
        TABLE_SIZE * TABLE_SIZE, TABLE_SIZE, 3
    )


@pytest.mark.every_blender
def test_the_agx_table_matches_blenders_view_transform(tmp_path):
    save_with_agx(color_grid(), tmp_path / "agx.png")
    np.testing.assert_allclose(read_pixels(TABLE), read_pixels(tmp_path / "agx.png"), atol=0.1 / 255)


if __name__ == "__main__":
    save_with_agx(color_grid(), TABLE)
