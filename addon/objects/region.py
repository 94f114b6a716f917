"""The region of a take to repaint: faces selected in Edit Mode, or a mask painted in Texture Paint Mode."""

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidImage, InvalidTarget
from ...backend.api.job import MAPS, Kept
from ...backend.api.settings import Settings
from . import material, mesh_io, slots, takes

MAX_MASK_SIZE = 2048
"""Largest width and height of the mask in texels. Its border is blended, so more would not show."""


@dataclass(frozen=True)
class RegionRepaint:
    """What a job that repaints a region needs in addition to the mesh and the reference.

    Attributes:
        kept: the take's textures, and the region.
        layer: the UV layer of these textures.
        own_topology: whether the mesh is sent without the modifiers that change its topology, as it was for
            the take.
    """

    kept: Kept
    layer: str
    own_topology: bool


def get_shown_take(obj: bpy.types.Object):
    """The take that the object shows. Raises :class:`InvalidTarget` if it shows none."""
    index = takes.find_shown_index(obj)
    if index < 0:
        raise InvalidTarget(
            f"'{obj.name}' shows no take, so there is no region to repaint. Texture it first."
        )
    return obj.orbit_texture.takes[index]


def has_selected_faces(obj: bpy.types.Object | None) -> bool:
    """Whether an object is in Edit Mode with selected faces, and shows a take: these can be repainted."""
    return (
        obj is not None
        and obj.type == "MESH"
        and obj.mode == "EDIT"
        and obj.data.total_face_sel > 0
        and takes.find_shown_index(obj) >= 0
    )


def check_layout(obj: bpy.types.Object, take) -> None:
    """Raises :class:`InvalidTarget` if the mesh's faces or UVs have changed since the take was made."""
    if take.uv_layer not in obj.data.uv_layers:
        raise InvalidTarget(
            f"The UV map '{take.uv_layer}' of '{take.name}' no longer exists. Texture the whole object "
            "instead."
        )
    if take.layout and take.layout != mesh_io.layout_fingerprint(obj.data, take.uv_layer):
        raise InvalidTarget(
            f"The faces or the UV map of '{obj.name}' have changed since '{take.name}' was made, so its "
            "texture no longer fits. Undo that change, or texture the whole object."
        )


def prepare_repaint(obj: bpy.types.Object, take, marked: np.ndarray) -> RegionRepaint:
    """What a job needs to repaint the marked region of a take and keep everything else.

    Args:
        marked: the region, as :class:`Kept` has it.

    Raises:
        InvalidTarget: nothing is marked, the take's images are gone or were painted over, or the take does
            not fit this mesh.
    """
    check_layout(obj, take)
    textures = {
        f"{name}.{tile}" if tile else name: np.frombuffer(data, np.uint8)
        for name in MAPS
        if (image := material.find_image(take.material, name))
        for tile, data in material.read_image_files(image).items()
    }
    if not any(name.startswith("base_color") for name in textures):
        raise InvalidTarget(
            f"The images of '{take.name}' are missing from its material. Texture the whole object instead."
        )
    return RegionRepaint(Kept(textures, marked), take.uv_layer, take.own_topology)


def repaint_settings(obj: bpy.types.Object, take, wanted: Settings) -> Settings:
    """The wanted settings with the take's texture size, and with the next seed that none of the object's
    takes has used: the same seed would paint the same again."""
    made = json.loads(take.settings)
    used = {json.loads(other.settings).get("seed") for other in obj.orbit_texture.takes}
    seed = next(seed for seed in count(wanted.seed) if seed not in used)
    return Settings.from_dict(wanted.to_dict() | {"seed": seed, "texture_size": made["texture_size"]})


def objects_showing(obj: bpy.types.Object, take) -> list[bpy.types.Object]:
    """The object, followed by the others that share its mesh and show the same take."""
    others = [
        other for other in slots.mesh_users(obj.data) if other != obj and takes.find_shown_index(other) >= 0
    ]
    return [
        obj,
        *(
            other
            for other in others
            if other.orbit_texture.takes[takes.find_shown_index(other)].material == take.material
        ),
    ]


def find_or_create_mask(obj: bpy.types.Object, take) -> bpy.types.Image:
    """The object's mask on the take's UV map; a new, black one if it has none there.

    Raises:
        InvalidTarget: Blender cannot paint on that UV map.
    """
    check_layout(obj, take)
    image = material.find_image(take.material, "base_color")
    if image is None or image.source == "TILED":
        raise InvalidTarget(
            f"The texture of '{take.name}' uses several UDIM tiles, or is missing. Select faces in Edit Mode "
            "instead."
        )
    if obj.data.uv_layers.active.name != take.uv_layer:
        raise InvalidTarget(
            f"Blender paints on the active UV map, but '{take.name}' uses '{take.uv_layer}'. Make that one "
            "active in the mesh properties, or select faces in Edit Mode instead."
        )
    own = obj.orbit_texture
    if own.region is None or own.region_layer != take.uv_layer:
        size = min(json.loads(take.settings)["texture_size"], MAX_MASK_SIZE)
        own.region = bpy.data.images.new(f"{obj.name} Region", size, size, is_data=True)
        own.region.generated_color = (0, 0, 0, 1)
        own.region_layer = take.uv_layer
    return own.region


def remove_mask(obj: bpy.types.Object) -> None:
    """Removes the object's mask."""
    image, obj.orbit_texture.region = obj.orbit_texture.region, None
    if image.users == 0:
        bpy.data.images.remove(image)


def read_mask(obj: bpy.types.Object, take) -> np.ndarray:
    """(H, W) uint8 what is painted on the object's mask, row 0 at the top.

    Raises:
        InvalidTarget: the mask is on another UV map than the take.
    """
    own = obj.orbit_texture
    if own.region_layer != take.uv_layer:
        raise InvalidTarget(
            f"The region was marked on the UV map '{own.region_layer}', but '{take.name}' uses "
            f"'{take.uv_layer}'. Press Mark Region and paint it again."
        )
    return _read_brightness(own.region)


def read_mask_file(file: Path) -> np.ndarray:
    """(H, W) uint8 mask from an image file, row 0 at the top. Raises :class:`InvalidImage` if it cannot be
    read."""
    if not file.is_file():
        raise InvalidImage(f"There is no region's mask at {file}. Check its path.")
    try:
        image = bpy.data.images.load(str(file))
    except RuntimeError as error:
        raise InvalidImage(f"The region's mask {file} is not an image file that can be read.") from error
    try:
        if not all(image.size):
            raise InvalidImage(f"The region's mask {file} is not an image file that can be read.")
        return _read_brightness(image)
    finally:
        bpy.data.images.remove(image)


def _read_brightness(image: bpy.types.Image) -> np.ndarray:
    """(H, W) uint8 largest channel of each pixel, row 0 at the top: 0 is black."""
    width, height = image.size
    pixels = np.empty((height, width, 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    return np.round(255 * np.clip(pixels[::-1, :, :3].max(axis=2), 0, 1)).astype(np.uint8)
