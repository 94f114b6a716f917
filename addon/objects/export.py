"""A take as files: its textures, and the object that wears it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidSettings, InvalidTarget, StorageError
from . import material, takes


@dataclass(frozen=True)
class ImageFormat:
    """How Blender writes an image.

    Attributes:
        title: for people.
        suffix: of the file.
        kind, depth: as Blender's image settings call them; bits per channel.
        linear: holds scene-linear colours, not sRGB-encoded ones.
    """

    title: str
    suffix: str
    file_format: str
    color_depth: str
    is_linear: bool = False


FORMATS = {
    "png8": ImageFormat("PNG, 8 bit", ".png", "PNG", "8"),
    "png16": ImageFormat("PNG, 16 bit", ".png", "PNG", "16"),
    "exr": ImageFormat("OpenEXR, 16 bit float", ".exr", "OPEN_EXR", "16", is_linear=True),
}

DEFAULT_NAMING = "{object}_{take}_{map}{tile}"
"""``tile`` is empty, or a point and the number of a UDIM tile."""

METALLIC_ROUGHNESS = "metallic_roughness"
"""The image of which glTF reads the roughness from green and the metallic from blue (glTF 2.0, 3.9.2)."""


def write_textures(
    obj: bpy.types.Object,
    index: int,
    folder: Path,
    format: str = "png8",
    naming: str = DEFAULT_NAMING,
    pack: bool = False,
) -> list[Path]:
    """Writes the maps of a take that its material uses. Values are as in the take; 16 bits add room for what
    follows, and no detail.

    Args:
        format: a key of :data:`FORMATS`.
        naming: of the files, without the ending; see :data:`NAMING`.
        pack: metallic and roughness as one image :data:`PACKED`, whose red is 1.

    Returns:
        The files.

    Raises:
        InvalidSettings: the naming is wrong, or gives two files one name.
        InvalidTarget: the take's images are gone, or were painted over and not saved.
        StorageError: a file cannot be written.
    """
    take = obj.orbit_texture.takes[index]
    images = {name: image for name in material.SOCKETS if (image := material.find_image(take.material, name))}
    if "base_color" not in images:
        raise InvalidTarget(
            f"The images of '{take.name}' are gone from its material. Texture the object again."
        )
    contents = {
        (name, tile): png
        for name, image in images.items()
        for tile, png in material.read_image_files(image).items()
    }
    pixels = {key: _decode_png(png) for key, png in contents.items() if pack or format != "png8"}
    if pack:
        for tile in [tile for name, tile in list(pixels) if name == "metallic"]:
            pixels[METALLIC_ROUGHNESS, tile] = _pack_metallic_roughness(
                pixels.pop(("metallic", tile)), pixels.pop(("roughness", tile))
            )
    else:
        pixels = pixels or dict.fromkeys(contents)
    files = {key: folder / f"{_file_name(naming, obj, take, *key)}{FORMATS[format].suffix}" for key in pixels}
    if len(set(files.values())) < len(files):
        raise InvalidSettings(
            f"The naming '{naming}' gives two textures the same name. Use {{map}}, and {{tile}} for UDIM "
            "tiles."
        )
    for key, file in files.items():
        _make_folder(file.parent)
        if format == "png8" and key in contents:
            _write_bytes(file, contents[key])
        else:
            _write_image(file, pixels[key], FORMATS[format], is_color=key[0] == "base_color")
    return list(files.values())


def write_glb(obj: bpy.types.Object, index: int, file: Path) -> None:
    """Writes the object as it wears a take, by Blender's own exporter. What is shown and selected stays as it
    was.

    Raises:
        InvalidTarget: the exporter is switched off, or the object is hidden or not in Object Mode.
        StorageError: the file cannot be written.
    """
    if not hasattr(bpy.types, "EXPORT_SCENE_OT_gltf"):
        raise InvalidTarget(
            "Blender's glTF exporter is switched off. Enable 'glTF 2.0 format' in the preferences, under "
            "Add-ons."
        )
    if obj.mode != "OBJECT" or not obj.visible_get():
        raise InvalidTarget(
            f"'{obj.name}' is hidden or not in Object Mode. Show it and leave its mode first."
        )
    _make_folder(file.parent)
    selected, shown = list(bpy.context.selected_objects), takes.shown_index(obj)
    try:
        takes.show_take(obj, index)
        for other in selected:
            other.select_set(False)
        obj.select_set(True)
        bpy.ops.export_scene.gltf(filepath=str(file), export_format="GLB", use_selection=True)
    except RuntimeError as error:
        raise StorageError(f"{file} cannot be written: {str(error).strip()}") from error
    finally:
        obj.select_set(False)
        for other in selected:
            other.select_set(True)
        if shown >= 0:
            takes.show_take(obj, shown)


def glb_file_name(obj: bpy.types.Object, index: int) -> str:
    """What to call an object's file."""
    return f"{bpy.path.clean_name(obj.name)}_{bpy.path.clean_name(obj.orbit_texture.takes[index].name)}.glb"


def _decode_png(png: bytes) -> np.ndarray:
    """(H, W, 4) float32 values of a PNG file as they are in it, row 0 at the bottom."""
    with tempfile.TemporaryDirectory(prefix="orbit-texture-") as folder:
        (Path(folder) / "texture.png").write_bytes(png)
        image = bpy.data.images.load(str(Path(folder) / "texture.png"))
        pixels = np.empty((image.size[1], image.size[0], 4), np.float32)
        image.pixels.foreach_get(pixels.ravel())
    bpy.data.images.remove(image)
    return pixels


def _pack_metallic_roughness(metallic: np.ndarray, roughness: np.ndarray) -> np.ndarray:
    pixels = np.ones_like(metallic)
    pixels[..., 1], pixels[..., 2] = roughness[..., 0], metallic[..., 0]
    return pixels


def _write_image(file: Path, pixels: np.ndarray, format: ImageFormat, is_color: bool) -> None:
    if format.is_linear and is_color:
        color = pixels[..., :3]
        pixels[..., :3] = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(file.stem, width, height, float_buffer=True, is_data=True)
    # A scene of its own says how, so that the user's render settings stay; an image of data is written
    # without a view transform.
    scene = bpy.data.scenes.new(file.stem)
    try:
        image.pixels.foreach_set(pixels.ravel())
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = (
            format.file_format,
            "RGB",
            format.color_depth,
        )
        image.save_render(str(file), scene=scene)
    except RuntimeError as error:
        raise StorageError(f"{file} cannot be written: {str(error).strip()}") from error
    finally:
        bpy.data.scenes.remove(scene)
        bpy.data.images.remove(image)


def _write_bytes(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}. Choose another folder.") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}. Choose another folder.") from error


def _file_name(naming: str, obj: bpy.types.Object, take, name: str, tile: str) -> str:
    try:
        return naming.format(
            object=bpy.path.clean_name(obj.name),
            take=bpy.path.clean_name(take.name),
            map=name,
            tile=f".{tile}" if tile else "",
        )
    except (LookupError, ValueError, AttributeError) as error:
        raise InvalidSettings(
            f"The naming '{naming}' cannot be used. It may have {{object}}, {{take}}, {{map}} and {{tile}}."
        ) from error
