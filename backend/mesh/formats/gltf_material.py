"""What a glTF material says of UVs and base colour."""

import io

import numpy as np
from PIL import Image

from .gltf_accessors import Gltf

TRANSFORM = "KHR_texture_transform"
"""The extension that moves a texture's UVs."""


def find_material(gltf: Gltf, index: int | None) -> dict:
    """A material; an empty one without a number."""
    return {} if index is None else gltf.get("materials", index)


def find_texture(material: dict) -> dict | None:
    """The material's reference to its base colour texture; None without one."""
    glossiness = material.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness", {})
    texture = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
    return glossiness.get("diffuseTexture") if texture is None else texture


def uv_set(texture: dict | None) -> int:
    """The number of the UV set that a texture uses."""
    if texture is None:
        return 0
    transform = texture.get("extensions", {}).get(TRANSFORM, {})
    return int(transform.get("texCoord", texture.get("texCoord", 0)))


def transform_uvs(texture: dict | None, uvs: np.ndarray) -> np.ndarray:
    """(n, 2) float32: where in its image a texture reads UVs (n, 2) float32, v down."""
    transform = {} if texture is None else texture.get("extensions", {}).get(TRANSFORM, {})
    offset, scale = transform.get("offset", [0, 0]), transform.get("scale", [1, 1])
    angle = transform.get("rotation", 0)
    if (*offset, *scale, angle) == (0, 0, 1, 1, 0):
        return uvs
    # Counter-clockwise as one looks at the image, whose v points down.
    cos, sin = np.cos(angle), np.sin(angle)
    return (uvs.astype(np.float64) * scale @ np.array([[cos, -sin], [sin, cos]]) + offset).astype(np.float32)


def read_base_color(gltf: Gltf, material: dict, has_uvs: bool) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: the base colour image times the factor, or one pixel in the factor's colour."""
    metallic_roughness = material.get("pbrMetallicRoughness", {})
    texture = metallic_roughness.get("baseColorTexture")
    pixels = np.full((1, 1, 3), 255, np.uint8)
    if texture is not None and has_uvs:
        pixels = np.asarray(_read_image(gltf, texture["index"]).convert("RGB"))
    factor = metallic_roughness.get("baseColorFactor")
    return pixels if factor is None else _multiply_linear(pixels, np.array(factor[:3], np.float64))


def _read_image(gltf: Gltf, texture: int) -> Image.Image:
    """The image of a texture, in whichever format it is."""
    entry = gltf.get("textures", texture)
    extensions = entry.get("extensions", {}).values()
    sources = [entry.get("source"), *(extension.get("source") for extension in extensions)]
    image = gltf.get("images", next(source for source in sources if source is not None))
    data = gltf.read_view(image["bufferView"]) if "bufferView" in image else gltf.read_uri(image["uri"])
    return Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "AVIF"))


def _multiply_linear(pixels: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """sRGB pixels (H, W, 3) uint8 times a linear colour (3,), as glTF defines it."""
    encoded = np.arange(256)[:, None] / 255
    linear = factor * np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    table = np.round(
        255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    ).astype(np.uint8)
    return np.stack([table[pixels[..., channel], channel] for channel in range(3)], axis=-1)
