"""The table of Blender's AgX view transform beside Blender itself. ``python -m tests.blender.test_agx`` makes
the table."""

from pathlib import Path

import bpy
import numpy as np
import pytest

TABLE = Path(__file__).parents[2] / "backend" / "paint" / "orbitpainter" / "agx.png"
SIDE = 33


def show(colors: np.ndarray, path: Path) -> None:
    """Saves sRGB-encoded colours (H, W, 3) as Blender's AgX shows them, in 16 bits."""
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


def stored(path: Path) -> np.ndarray:
    """(H, W, 3) float32 0..1 as stored in a file."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    height, width = image.size[1], image.size[0]
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1, :, :3]


def grid() -> np.ndarray:
    steps = np.linspace(0, 1, SIDE)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(SIDE * SIDE, SIDE, 3)


@pytest.mark.every_blender
def test_the_agx_table_matches_blenders_view_transform(tmp_path):
    show(grid(), tmp_path / "shown.png")
    np.testing.assert_allclose(stored(TABLE), stored(tmp_path / "shown.png"), atol=0.1 / 255)


if __name__ == "__main__":
    show(grid(), TABLE)
