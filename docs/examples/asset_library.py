"""Marks every object that shows a take as an asset, with a preview of its textured front, and writes an asset
library's .blend.

    blender -b textured.blend --python docs/examples/asset_library.py -- library/props.blend

The extension must be enabled; no display is needed. Add the folder under Preferences > File Paths > Asset
Libraries.
"""

import sys
from pathlib import Path

import bpy
import numpy as np


def mark_as_asset(obj: bpy.types.Object) -> bool:
    """Marks an object as an asset if it shows a take; returns whether it does."""
    shown_material = obj.material_slots[0].material if obj.material_slots else None
    take = next(
        (take for take in obj.orbit_texture.takes if shown_material and take.material == shown_material), None
    )
    if take is None:
        return False
    obj.asset_mark()
    obj.asset_data.description = f"Textured by Orbit Texture, {take.name}"
    obj.asset_data.tags.new("orbit texture", skip_if_exists=True)
    sheet = shown_material.node_tree.nodes.get("sheet")
    if sheet:
        set_preview(obj, crop_second_tile(sheet.image))
    return True


def crop_second_tile(image: bpy.types.Image) -> np.ndarray:
    """(S, S, 4) float32 the second of the images side by side in a take's contact sheet. The first is the
    reference."""
    width, size = image.size
    pixels = np.empty((size, width, 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    return pixels[:, size : 2 * size]


def set_preview(obj: bpy.types.Object, pixels: np.ndarray) -> None:
    preview = obj.preview_ensure()
    preview.image_size = pixels.shape[1::-1]
    preview.image_pixels_float.foreach_set(np.ascontiguousarray(pixels).ravel())


def main(output: str) -> None:
    marked = [obj.name for obj in bpy.data.objects if mark_as_asset(obj)]
    Path(output).resolve().parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(output).resolve()), copy=True)
    print(f"{len(marked)} assets in {output}: {', '.join(marked)}")


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1])
