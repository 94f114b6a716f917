"""The region of a take that is painted anew: faces selected in Edit Mode, or a mask painted in Texture Paint Mode."""

import json
from itertools import count

import bpy
import numpy as np

from ..backend.api.errors import InvalidTarget
from ..backend.api.job import Kept
from ..backend.api.settings import Settings
from . import material, scene, takes

MAPS = ("base_color", "metallic", "roughness", "alpha", "confidence", "coverage", "disagreement")
"""The images of a take that a repaint keeps."""

LARGEST_MASK = 2048
"""Texels along a side of the mask: its border is soft anyway."""


def check(obj: bpy.types.Object, take) -> None:
    """Raises :class:`InvalidTarget` if the take's texture does not lie on the object's mesh as it did."""
    if take.uv_layer not in obj.data.uv_layers:
        raise InvalidTarget(f"The UV map '{take.uv_layer}' of '{take.name}' is gone. Texture the whole object instead.")
    if take.layout and take.layout != scene.layout(obj.data, take.uv_layer):
        raise InvalidTarget(f"The faces or the UV map of '{obj.name}' were changed since '{take.name}' was made, so its texture does not "
                            "lie right any more. Undo that, or texture the whole object.")


def kept(obj: bpy.types.Object, take, faces: bool) -> Kept:
    """What a job needs to keep a take's texture outside of the region.

    Args:
        faces: the region is the selected faces; else what is painted on the object's mask.

    Raises:
        InvalidTarget: nothing is marked; the take's images are gone or painted over, or it does not lie on this mesh.
    """
    check(obj, take)
    textures = {f"{name}.{tile}" if tile else name: np.frombuffer(data, np.uint8) for name in MAPS
                if (image := material.texture(take.material, name)) for tile, data in material.files(image).items()}
    if not any(name.startswith("base_color") for name in textures):
        raise InvalidTarget(f"The images of '{take.name}' are gone from its material. Texture the whole object instead.")
    return Kept(textures, scene.selection(obj, take.own_topology) if faces else _painted(obj, take))


def settings(obj: bpy.types.Object, take, wanted: Settings) -> Settings:
    """As wanted, in the take's size, and with a seed that none of the object's takes has, for the same seed paints the same again."""
    made = json.loads(take.settings)
    used = {json.loads(other.settings).get("seed") for other in obj.orbit_texture.takes}
    seed = next(seed for seed in count(wanted.seed) if seed not in used)
    return Settings.from_dict(wanted.to_dict() | {"seed": seed, "texture_size": made["texture_size"]})


def wearers(obj: bpy.types.Object, take) -> list[bpy.types.Object]:
    """The object, then those that share its mesh and wear the same take."""
    others = [other for other in takes.users_of(obj.data) if other != obj and takes.shown(other) >= 0]
    return [obj, *(other for other in others if other.orbit_texture.takes[takes.shown(other)].material == take.material)]


def mask(obj: bpy.types.Object, take) -> bpy.types.Image:
    """The object's mask on the take's UV map; a black one if it has none there.

    Raises:
        InvalidTarget: nothing can be painted on that UV map.
    """
    check(obj, take)
    image = material.texture(take.material, "base_color")
    if image is None or image.source == "TILED":
        raise InvalidTarget(f"The texture of '{take.name}' lies on several UDIM tiles, or is gone. Select faces in Edit Mode instead.")
    if obj.data.uv_layers.active.name != take.uv_layer:
        raise InvalidTarget(f"Blender paints on the active UV map, and '{take.name}' lies on '{take.uv_layer}'. Make that one active in "
                            "the mesh's properties, or select faces in Edit Mode instead.")
    own = obj.orbit_texture
    if own.region is None or own.region_layer != take.uv_layer:
        size = min(json.loads(take.settings)["texture_size"], LARGEST_MASK)
        own.region = bpy.data.images.new(f"{obj.name} Region", size, size, is_data=True)
        own.region.generated_color = (0, 0, 0, 1)
        own.region_layer = take.uv_layer
    return own.region


def clear(obj: bpy.types.Object) -> None:
    """Removes the mask."""
    image, obj.orbit_texture.region = obj.orbit_texture.region, None
    if image.users == 0:
        bpy.data.images.remove(image)


def _painted(obj: bpy.types.Object, take) -> np.ndarray:
    """(H, W) uint8 of the mask, row 0 at the top: black stays, whatever colour the rest has."""
    own = obj.orbit_texture
    if own.region_layer != take.uv_layer:
        raise InvalidTarget(f"The region was marked on the UV map '{own.region_layer}', and '{take.name}' lies on '{take.uv_layer}'. "
                            "Press Mark Region and paint it again.")
    width, height = own.region.size
    pixels = np.empty((height, width, 4), np.float32)
    own.region.pixels.foreach_get(pixels.ravel())
    return np.round(255 * np.clip(pixels[::-1, :, :3].max(axis=2), 0, 1)).astype(np.uint8)
