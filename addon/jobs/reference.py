"""The reference image in a form that the client accepts: an encoded file or pixels."""

from functools import partial
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidImage
from ...backend.api.picture import MAX_PICTURES, SIDES
from ..objects import mask_correction
from ..objects.file_names import clean_file_name, resolve_path
from ..objects.mask_correction import MaskCorrection
from ..objects.shown_pixels import read_shown_pixels, shows_its_file
from .request import Reference

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".exr", ".hdr")
"""Suffixes of the files that may be a reference."""


class PackedFile(bytes):
    """The content of a packed image.

    Attributes:
        name: the image's.
    """

    name: str = ""


def from_file(path: str | Path, what: str = "reference image") -> Path:
    """The image file for a path in Blender's notation (``//`` is the .blend's folder).

    Args:
        what: the image's purpose, for the error.

    Raises:
        InvalidImage: there is no such file.
        InvalidSettings: the path is relative to a .blend that was never saved.
    """
    return _check_file(resolve_path(path), what)


def _check_file(file: Path, what: str) -> Path:
    if not file.is_file():
        raise InvalidImage(f"There is no {what} at {file}. Choose another file.")
    return file


def from_image(image: bpy.types.Image) -> Reference:
    """An image of the .blend: its packed file, its file on disk, or, if Blender shows something else since it
    was painted, generated, or given another colour space or alpha mode, a function that makes its pixels from
    a copy.

    Raises:
        InvalidImage: the image is a movie, a sequence, tiled, or has no pixels, or Blender has no view that
            shows it as it is.
    """
    if image.source not in {"FILE", "GENERATED"} or image.type not in {"IMAGE", "UV_TEST"}:
        raise InvalidImage(f"The image '{image.name}' is not a single still image. Choose another image.")
    if image.source == "FILE" and not image.is_dirty and shows_its_file(image):
        if image.packed_file:
            packed = PackedFile(image.packed_file.data)
            packed.name = image.name
            return packed
        return _check_file(resolve_path(image.filepath, image.library), "reference image")
    return _pixels(image)


def mask_from_image(image: bpy.types.Image) -> Reference:
    """Like :func:`from_image`, for the mask of a reference: pixels made in Blender become (H, W) uint8."""
    source = from_image(image)
    return (lambda: _brightness(source())) if callable(source) else source


def find_correction(obj: bpy.types.Object, reference: Reference) -> MaskCorrection | None:
    """The correction of an object's mask, if the reference of a job is the image that it was drawn on."""
    image = obj.orbit_texture.mask_reference
    correction = mask_correction.get_correction(obj, image)
    if correction is None:
        return None
    try:
        return correction if _is_same(from_image(image), reference) else None
    except InvalidImage:
        return None


def name_of(reference: Reference) -> str:
    """The name of the file or image that a reference is; "" if it has none."""
    return getattr(reference, "name", "")


def _is_same(reference: Reference, other: Reference) -> bool:
    if isinstance(reference, partial) and isinstance(other, partial):
        return all(map(np.array_equal, reference.args, other.args))
    return type(reference) is type(other) and reference == other


def find_in_folder(folder: str, name: str, ending: str = "") -> Path | None:
    """The image file in ``folder`` with the object's name and an ending, or None. Where a file cannot have
    that name, it is the one with :func:`clean_file_name`'s; a name never leads out of the folder.

    Raises:
        InvalidSettings: the folder is relative to a .blend that was never saved.
    """
    directory = resolve_path(folder)
    is_plain = not set(name) & set("/\\:") and name.strip(".")
    names = dict.fromkeys([*([name] if is_plain else []), clean_file_name(name)])
    candidates = (directory / f"{each}{ending}{extension}" for each in names for extension in EXTENSIONS)
    return next((file for file in candidates if file.is_file()), None)


def find_pictures_in_folder(folder: str, name: str) -> list[tuple[Path, str]]:
    """The image files of an object in ``folder``, and after what each is named there: ``Hat.png`` "",
    ``Hat.back.png`` "back", ``Hat.2.png`` "2". The one that leads is first: the one with the object's name
    alone, else the front, else the first of the others. A file with the name of another object is not among
    them.

    Raises:
        InvalidSettings: the folder is relative to a .blend that was never saved.
    """
    kinds = ["", *SIDES, *(str(number) for number in range(1, MAX_PICTURES + 1))]
    found = ((find_in_folder(folder, name, f".{kind}" if kind else ""), kind) for kind in kinds)
    return [(file, kind) for file, kind in found if file and not (kind and file.stem in bpy.data.objects)]


def _pixels(image: bpy.types.Image) -> Reference:
    pixels = read_shown_pixels(image)
    if pixels.size == 0:
        raise InvalidImage(f"The image '{image.name}' has no pixels. Choose another image.")
    source = partial(_flip, pixels)
    source.name = image.name
    return source


def _brightness(pixels: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of pixels (H, W, 4) float32: their alpha if they have one, else their largest channel."""
    has_alpha = pixels[..., 3].min() < 1
    values = pixels[..., 3] if has_alpha else pixels[..., :3].max(axis=2)
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _flip(pixels: np.ndarray) -> np.ndarray:
    """Blender's pixels (H, W, 4), whose row 0 is the lowest, with row 0 at the top."""
    return pixels[::-1].copy()
