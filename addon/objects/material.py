"""A result's textures as packed images in a Principled material."""

import struct
import tempfile
import zlib
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidTarget, OrbitError
from ..jobs import previews
from .color_spaces import set_color_space

SOCKETS = {"base_color": "Base Color", "metallic": "Metallic", "roughness": "Roughness", "alpha": "Alpha"}
"""The socket of the Principled shader that each texture drives. Each has its own image, since Blender's glTF
exporter packs them."""

SHEET = "sheet"
"""Name of the contact sheet of the reference and the textured object. It is stored in the material,
unconnected, for :func:`find_image`."""

_SRGB_TEXTURES = ("base_color", SHEET)


def build(name: str, textures: dict[str, np.ndarray], uv_layer: str) -> bpy.types.Material:
    """Creates a material with a result's textures on a UV layer, blended if ``alpha`` is among them, else
    opaque.

    Textures that drive no socket are added unconnected, so that they can be viewed.

    Args:
        name: of the material; the names of its images begin with it.
        textures: PNG files by name, each (N,) uint8; one per UDIM tile, ``base_color.1001`` …, become one
            tiled image.

    Raises:
        OrbitError: a texture is not a readable PNG; the caller removes what was made before it.
    """
    material = bpy.data.materials.new(name)
    images = {
        key: _create_image(
            f"{name} {key.replace('_', ' ').title()}", tiles, is_data=key not in _SRGB_TEXTURES
        )
        for key, tiles in _group_by_texture(textures).items()
    }
    _build_nodes(material, images, uv_layer)
    return material


def remove(material: bpy.types.Material) -> None:
    """Removes a material, unless it still has users, and those of its images that nothing else uses."""
    if material.users > material.use_fake_user:
        return
    images = _images_in(material)
    bpy.data.materials.remove(material)
    for image in images:
        if image.users == 0:
            bpy.data.images.remove(image)


def find_image(material: bpy.types.Material | None, name: str) -> bpy.types.Image | None:
    """The image that :func:`build` added to a material under this name, if it still exists."""
    node = material.node_tree.nodes.get(name) if material and material.node_tree else None
    return node.image if node else None


def read_image_files(image: bpy.types.Image) -> dict[str, bytes]:
    """The contents of an image's files by the number of their UDIM tile; "" if it has none.

    Raises:
        InvalidTarget: the image was painted over and not saved, or its file is gone.
    """
    if image.is_dirty:
        raise InvalidTarget(
            f"The image '{image.name}' was painted over and not saved. Save or pack it in the Image Editor "
            "first."
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


def set_preview(material: bpy.types.Material, thumbnail: np.ndarray) -> None:
    """Sets an image (S, S, 3) uint8 sRGB as the material's preview, which Blender saves with the material and
    shows in lists of materials."""
    preview = material.preview_ensure()
    preview.image_size = thumbnail.shape[1::-1]
    preview.image_pixels_float.foreach_set(previews.to_preview_pixels(thumbnail))


def _images_in(material: bpy.types.Material) -> list[bpy.types.Image]:
    """The images of its textures; those of a copied cut-out are the user's."""
    nodes = material.node_tree.nodes if material.node_tree else ()
    own = (node for node in nodes if node.type == "TEX_IMAGE" and node.parent is None)
    return list({node.image for node in own if node.image})


def _group_by_texture(textures: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """``base_color.1001`` becomes ``["base_color"]["1001"]``; the tile is "" if the name has none."""
    grouped = {}
    for name, data in textures.items():
        key, _, tile = name.partition(".")
        grouped.setdefault(key, {})[tile] = data
    return grouped


def _create_image(name: str, tiles: dict[str, np.ndarray], is_data: bool) -> bpy.types.Image:
    """Creates an image. It is always a new one: Blender's undo does not restore the pixels of an old one."""
    # Only the PNG structure is checked. Reading the image's size would make Blender decode it, which takes
    # half a second for 4k.
    if not all(map(_is_png, tiles.values())):
        raise OrbitError(
            f"The worker returned a texture that Blender cannot read ('{name}'). Texture the object again."
        )
    image = _pack_tiled_image(name, tiles) if len(tiles) > 1 else pack_image(name, *tiles.values())
    set_color_space(image, is_data)
    return image


def _is_png(data: np.ndarray) -> bool:
    """Whether the bytes (N,) uint8 are a complete PNG file: the signature, then chunks with valid checksums
    from IHDR to IEND."""
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


def pack_image(name: str, png: np.ndarray) -> bpy.types.Image:
    """A packed image from an image file (N,) uint8."""
    image = bpy.data.images.new(name, 1, 1)
    data = png.tobytes()
    image.pack(data=data, data_len=len(data))
    image.source = "FILE"
    return image


def _pack_tiled_image(name: str, tiles: dict[str, np.ndarray]) -> bpy.types.Image:
    """Creates a tiled image from temporary files, the only way in which Blender packs tiles."""
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
