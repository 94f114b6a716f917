"""A result's textures as packed images in a Principled material."""

import struct
import tempfile
import zlib
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidTarget, OrbitError
from ..jobs import previews

SOCKETS = {"base_color": "Base Color", "metallic": "Metallic", "roughness": "Roughness", "alpha": "Alpha"}
"""What of the Principled shader each texture drives. One image per socket, as Blender's glTF exporter packs
them by itself."""

SHEET = "sheet"
"""The picture of the reference and the textured object, which lies in the material to be looked at and found
again."""

_COLORS = ("base_color", SHEET)


def build(name: str, textures: dict[str, np.ndarray], uv_layer: str) -> bpy.types.Material:
    """A material that wears a result's textures on the given UV layer, blended if ``alpha`` is among them,
    else opaque.

    Textures that are no part of a material lie in it unconnected, to look at.

    Args:
        name: of the material; the images are called after it.
        textures: PNG files by name, each (N,) uint8; one per UDIM tile, ``base_color.1001`` …, become one
            tiled image.

    Raises:
        OrbitError: a texture is not a readable PNG; nothing is left behind.
    """
    material = bpy.data.materials.new(name)
    try:
        images = {
            key: _image(
                f"{name} {key.replace('_', ' ').title()}", tiles, "sRGB" if key in _COLORS else "Non-Color"
            )
            for key, tiles in _by_map(textures).items()
        }
        _build_nodes(material, images, uv_layer)
    except OrbitError:
        remove(material)
        raise
    return material


def remove(material: bpy.types.Material) -> None:
    """Removes a material that nothing uses any more, and its images that nothing else uses."""
    if material.users > material.use_fake_user:
        return
    images = _images(material)
    bpy.data.materials.remove(material)
    for image in images:
        if image.users == 0:
            bpy.data.images.remove(image)


def texture(material: bpy.types.Material | None, name: str) -> bpy.types.Image | None:
    """One of the images that :func:`build` laid into a material, if it is still there."""
    node = material.node_tree.nodes.get(name) if material and material.node_tree else None
    return node.image if node else None


def files(image: bpy.types.Image) -> dict[str, bytes]:
    """An image's files by the number of their tile, which is "" where there are none.

    Raises:
        InvalidTarget: it was painted over and not saved, or its file is gone.
    """
    if image.is_dirty:
        raise InvalidTarget(
            f"The image '{image.name}' was painted over and is not saved. Save or pack it in the Image "
            "Editor first."
        )
    tiled = image.source == "TILED"
    if image.packed_files:
        return {
            str(packed.tile_number) if tiled else "": bytes(packed.packed_file.data)
            for packed in image.packed_files
        }
    path = bpy.path.abspath(image.filepath, library=image.library)
    try:
        return {
            number: Path(path.replace("<UDIM>", number)).read_bytes()
            for number in ([str(tile.number) for tile in image.tiles] if tiled else [""])
        }
    except OSError as error:
        raise InvalidTarget(f"The file of the image '{image.name}' cannot be read: {error}") from error


def set_preview(material: bpy.types.Material, picture: np.ndarray) -> None:
    """Makes a picture (S, S, 3) uint8 sRGB the material's preview, which Blender saves with it and shows
    wherever it lists materials."""
    preview = material.preview_ensure()
    preview.image_size = picture.shape[1::-1]
    preview.image_pixels_float.foreach_set(previews.to_preview_pixels(picture))


def _images(material: bpy.types.Material) -> list[bpy.types.Image]:
    nodes = material.node_tree.nodes if material.node_tree else ()
    return list({node.image for node in nodes if node.type == "TEX_IMAGE" and node.image})


def _by_map(textures: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """``base_color.1001`` as ``["base_color"]["1001"]``; the tile is "" where there are none."""
    maps = {}
    for name, data in textures.items():
        key, _, tile = name.partition(".")
        maps.setdefault(key, {})[tile] = data
    return maps


def _image(name: str, tiles: dict[str, np.ndarray], color_space: str) -> bpy.types.Image:
    """Always a new image: Blender's undo does not restore the pixels of an old one."""
    # Blender decodes an image when it is first asked for its size or drawn: half a second for 4k, which is
    # not to pass here.
    if not all(map(_is_png, tiles.values())):
        raise OrbitError(
            f"The worker returned a texture that Blender cannot read ('{name}'). Texture the object again."
        )
    image = _packed_tiles(name, tiles) if len(tiles) > 1 else _packed(name, *tiles.values())
    image.colorspace_settings.name = color_space
    return image


def _is_png(data: np.ndarray) -> bool:
    """Whether the bytes (N,) uint8 are a whole PNG file: the signature, then sound chunks from IHDR to IEND
    that follow one another."""
    file, at, names = memoryview(data), 8, []
    if bytes(file[:8]) != b"\x89PNG\r\n\x1a\n":
        return False
    while at + 12 <= len(file):
        length, name = struct.unpack(">I4s", file[at : at + 8])
        checksum = at + 8 + length
        if file[checksum : checksum + 4] != struct.pack(">I", zlib.crc32(file[at + 4 : checksum])):
            return False
        names.append(name)
        at = checksum + 4
    return at == len(file) and names[:1] == [b"IHDR"] and names[-1:] == [b"IEND"] and b"IDAT" in names


def _packed(name: str, png: np.ndarray) -> bpy.types.Image:
    image = bpy.data.images.new(name, 1, 1)
    data = png.tobytes()
    image.pack(data=data, data_len=len(data))
    image.source = "FILE"
    return image


def _packed_tiles(name: str, tiles: dict[str, np.ndarray]) -> bpy.types.Image:
    """Blender packs the tiles of an image from files only."""
    with tempfile.TemporaryDirectory(prefix="orbit-texture-") as folder:
        for tile, png in tiles.items():
            png.tofile(Path(folder) / f"tile.{tile}.png")
        image = bpy.data.images.load(str(Path(folder) / "tile.<UDIM>.png"))
        image.name, image.source = name, "TILED"
        image.pack()
    image.filepath_raw = f"//{bpy.path.clean_name(name)}.<UDIM>.png"
    return image


def _build_nodes(material: bpy.types.Material, images: dict[str, bpy.types.Image], uv_layer: str) -> None:
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    output = nodes.new("ShaderNodeOutputMaterial")
    principled = nodes.new("ShaderNodeBsdfPrincipled")
    principled.inputs["Roughness"].default_value = 0.6
    output.location = (300, 0)
    links.new(principled.outputs["BSDF"], output.inputs["Surface"])
    uv_map = nodes.new("ShaderNodeUVMap")
    uv_map.uv_map = uv_layer
    uv_map.location = (-600, 0)
    for row, (key, image) in enumerate(images.items()):
        node = nodes.new("ShaderNodeTexImage")
        node.name, node.label, node.image = key, key.replace("_", " ").title(), image
        node.location = (-350, -300 * row)
        links.new(uv_map.outputs["UV"], node.inputs["Vector"])
        if key in SOCKETS:
            links.new(node.outputs["Color"], principled.inputs[SOCKETS[key]])
    if "alpha" in images:
        material.surface_render_method = "BLENDED"
