"""Exports a take: its textures as image files, or its object as a GLB file."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import InvalidSettings, InvalidTarget, StorageError
from . import material, takes
from .cut_out import cut_out_for_gltf
from .file_names import object_file_name, unique_file_name


@dataclass(frozen=True)
class ImageFormat:
    """How Blender writes an image.

    Attributes:
        title: the name that users see.
        suffix: of the file.
        file_format: as in Blender's image settings.
        color_depth: bits per channel, as in Blender's image settings.
        is_linear: the file holds scene-linear colours, not sRGB-encoded ones.
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
"""``tile`` is empty, or a dot and the number of a UDIM tile."""

METALLIC_ROUGHNESS = "metallic_roughness"
"""Name of the packed image: glTF reads the roughness from its green and the metallic from its blue channel
(glTF 2.0, 3.9.2)."""


def write_textures(
    obj: bpy.types.Object,
    index: int,
    folder: Path,
    format_name: str = "png8",
    naming: str = DEFAULT_NAMING,
    pack: bool = False,
) -> list[Path]:
    """Writes the textures of a take that its material uses. The values are those of the take: 16 bits leave
    room for later edits but add no detail.

    Args:
        index: of the take.
        format_name: a key of :data:`FORMATS`.
        naming: of the files, without the suffix; see :data:`DEFAULT_NAMING`.
        pack: write metallic and roughness as one image :data:`METALLIC_ROUGHNESS`, whose red is 1.

    Returns:
        The files.

    Raises:
        InvalidSettings: the naming is invalid, or gives two textures the same name.
        InvalidTarget: the take's images are gone, or were painted over and not saved.
        StorageError: a file cannot be written.
    """
    take = obj.orbit_texture.takes[index]
    contents = _read_textures(take)
    # The take's own PNG files are copied where nothing changes, so their pixels are not needed.
    pixels = {key: _decode_png(png) for key, png in contents.items() if pack or format_name != "png8"}
    if pack:
        for tile in [tile for name, tile in list(pixels) if name == "metallic"]:
            pixels[METALLIC_ROUGHNESS, tile] = _pack_metallic_roughness(
                pixels.pop(("metallic", tile)), pixels.pop(("roughness", tile))
            )
    else:
        pixels = pixels or dict.fromkeys(contents)
    image_format = FORMATS[format_name]
    files = {key: folder / f"{_file_name(naming, obj, take, *key)}{image_format.suffix}" for key in pixels}
    if len(set(files.values())) < len(files):
        raise InvalidSettings(
            f"The naming '{naming}' gives two textures the same name. Use {{map}}, and {{tile}} for UDIM "
            "tiles."
        )
    for key, file in files.items():
        _make_folder(file.parent)
        if format_name == "png8" and key in contents:
            _write_bytes(file, contents[key])
        else:
            _write_image(file, pixels[key], image_format, is_color=key[0] == "base_color")
    return list(files.values())


def _read_textures(take) -> dict[tuple[str, str], bytes]:
    """The PNG files of a take's textures, by the name of the texture and the number of the UDIM tile."""
    images = {name: image for name in material.SOCKETS if (image := material.find_image(take.material, name))}
    if "base_color" not in images:
        raise InvalidTarget(
            f"The images of '{take.name}' are missing from its material. Texture the object again."
        )
    return {
        (name, tile): png
        for name, image in images.items()
        for tile, png in material.read_image_files(image).items()
    }


def write_glb(obj: bpy.types.Object, index: int, file: Path) -> list[str]:
    """Writes the object with a take, using Blender's own exporter. The shown take and the selection are
    restored afterwards.

    Returns:
        Sentences about what the file lacks.

    Raises:
        InvalidTarget: the exporter is switched off, or the object is hidden or not in Object Mode.
        StorageError: the file cannot be written.
    """
    if not hasattr(bpy.types, "EXPORT_SCENE_OT_gltf"):
        raise InvalidTarget(
            "Blender's glTF exporter is disabled. Enable 'glTF 2.0 format' in the preferences, under Add-ons."
        )
    if obj.mode != "OBJECT" or not obj.visible_get():
        raise InvalidTarget(
            f"'{obj.name}' is hidden or not in Object Mode. Show it and switch to Object Mode first."
        )
    _make_folder(file.parent)
    selected, shown = list(bpy.context.selected_objects), takes.find_shown_index(obj)
    take = obj.orbit_texture.takes[index]
    try:
        takes.show_take(obj, index)
        for other in selected:
            other.select_set(False)
        obj.select_set(True)
        with (
            _first_uv_map(obj, take.uv_layer),
            cut_out_for_gltf(take.material, take.uv_layer) as is_whole,
        ):
            bpy.ops.export_scene.gltf(filepath=str(file), export_format="GLB", use_selection=True)
    except RuntimeError as error:
        raise StorageError(f"{file} cannot be written: {str(error).strip()}") from error
    finally:
        obj.select_set(False)
        for other in selected:
            other.select_set(True)
        if shown >= 0:
            takes.show_take(obj, shown)
    if is_whole:
        return []
    text = rpt_(
        "The cut-out of '{}' is not in the file, which is opaque: a GLB holds only an image on the texture's "
        "own UV map. Cut it out again in the other program."
    )
    return [text.format(take.name)]


@contextmanager
def _first_uv_map(obj: bpy.types.Object, name: str) -> Iterator[None]:
    """Gives the object a copy of its mesh whose first UV map is the one of this name, since most programs
    read no other from a glTF file; afterwards the object has its own mesh again."""
    mesh = obj.data
    if len(mesh.uv_layers) < 2 or mesh.uv_layers[0].name == name:
        yield
        return
    copy, mesh_name = mesh.copy(), mesh.name
    ordered = sorted((layer.name for layer in mesh.uv_layers), key=lambda layer: layer != name)
    uvs = {layer: _read_uvs(mesh.uv_layers[layer]) for layer in ordered}
    while copy.uv_layers:
        copy.uv_layers.remove(copy.uv_layers[0])
    for layer in ordered:
        copy.uv_layers.new(name=layer, do_init=False).uv.foreach_set("vector", uvs[layer])
    try:
        obj.data = copy
        mesh.name, copy.name = f"{mesh_name} ", mesh_name
        yield
    finally:
        obj.data = mesh
        bpy.data.meshes.remove(copy)
        mesh.name = mesh_name


def _read_uvs(layer) -> np.ndarray:
    uvs = np.empty(2 * len(layer.uv), np.float32)
    layer.uv.foreach_get("vector", uvs)
    return uvs


def glb_file_name(obj: bpy.types.Object, index: int) -> str:
    """The default name for an object's GLB file."""
    return f"{object_file_name(obj)}_{_take_file_name(obj, obj.orbit_texture.takes[index])}.glb"


def _take_file_name(obj: bpy.types.Object, take) -> str:
    return unique_file_name(take.name, (other.name for other in obj.orbit_texture.takes))


def _decode_png(png: bytes) -> np.ndarray:
    """(H, W, 4) float32 values of a PNG file without any colour conversion, row 0 at the bottom."""
    with tempfile.TemporaryDirectory(prefix="orbit-texture-") as folder:
        (Path(folder) / "texture.png").write_bytes(png)
        image = bpy.data.images.load(str(Path(folder) / "texture.png"))
        try:
            pixels = np.empty((image.size[1], image.size[0], 4), np.float32)
            image.pixels.foreach_get(pixels.ravel())
            return pixels
        finally:
            bpy.data.images.remove(image)


def _pack_metallic_roughness(metallic: np.ndarray, roughness: np.ndarray) -> np.ndarray:
    pixels = np.ones_like(metallic)
    pixels[..., 1], pixels[..., 2] = roughness[..., 0], metallic[..., 0]
    return pixels


def _write_image(file: Path, pixels: np.ndarray, image_format: ImageFormat, is_color: bool) -> None:
    """Writes (H, W, 4) float32 sRGB-encoded or data values, row 0 at the bottom."""
    if image_format.is_linear and is_color:
        color = pixels[..., :3]
        pixels[..., :3] = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(file.stem, width, height, float_buffer=True, is_data=True)
    # A temporary scene holds the image settings, so that the user's render settings are kept. A data image is
    # written without a view transform.
    scene = bpy.data.scenes.new(file.stem)
    try:
        image.pixels.foreach_set(pixels.ravel())
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = (
            image_format.file_format,
            "RGB",
            image_format.color_depth,
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
            object=object_file_name(obj),
            take=_take_file_name(obj, take),
            map=name,
            tile=f".{tile}" if tile else "",
        )
    except (LookupError, ValueError, AttributeError) as error:
        raise InvalidSettings(
            f"The naming '{naming}' is invalid. It can contain {{object}}, {{take}}, {{map}} and {{tile}}."
        ) from error
