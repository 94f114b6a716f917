"""Marks every object that wears a take as an asset, whose preview is the picture of its textured front, and
writes a library's .blend.

    blender -b textured.blend --python docs/examples/asset_library.py -- library/props.blend

Needs the extension enabled; no display. Put the folder under Preferences > File Paths > Asset Libraries.
"""

import sys
from pathlib import Path

import bpy
import numpy as np


def mark(obj: bpy.types.Object) -> bool:
    """Makes an object an asset; returns whether it wears a take."""
    worn = obj.material_slots[0].material if obj.material_slots else None
    take = next((take for take in obj.orbit_texture.takes if worn and take.material == worn), None)
    if take is None:
        return False
    obj.asset_mark()
    obj.asset_data.description = f"Textured by Orbit Texture, {take.name}"
    obj.asset_data.tags.new("orbit texture", skip_if_exists=True)
    sheet = worn.node_tree.nodes.get("sheet")
    if sheet:
        set_preview(obj, second_picture(sheet.image))
    return True


def second_picture(image: bpy.types.Image) -> np.ndarray:
    """(S, S, 4) float32: of the pictures that lie side by side in a take's sheet, the first after the
    reference."""
    width, size = image.size
    pixels = np.empty((size, width, 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    return pixels[:, size : 2 * size]


def set_preview(obj: bpy.types.Object, picture: np.ndarray) -> None:
    preview = obj.preview_ensure()
    preview.image_size = picture.shape[1::-1]
    preview.image_pixels_float.foreach_set(np.ascontiguousarray(picture).ravel())


def main(output: str) -> None:
    marked = [obj.name for obj in bpy.data.objects if mark(obj)]
    Path(output).resolve().parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(output).resolve()), copy=True)
    print(f"{len(marked)} assets in {output}: {', '.join(marked)}")


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1])
