"""Image files as any viewer shows them: sRGB with straight alpha, whatever way the file stores them."""

import io

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..api.errors import InvalidImage
from .exr import MAGIC, read_exr

FORMATS = (
    "AVIF",
    "BMP",
    "DDS",
    "GIF",
    "ICO",
    "JPEG",
    "JPEG2000",
    "PNG",
    "PPM",
    "PSD",
    "QOI",
    "SGI",
    "TGA",
    "TIFF",
    "WEBP",
)
"""What Pillow may open: images. Its reader of EPS would start another program."""

ROWS_AT_ONCE = 64
"""Rows of an image with more than 8 bits per channel that are converted together."""

_BRIGHT = "The reference is an HDR image; what is brighter than white in it became white."

_DEEP = "The reference has more than 8 bits per channel; 8 were used."

_TIFF = (b"II*\0", b"MM\0*")
"""How a TIFF file begins."""

_PNG = b"\x89PNG\r\n\x1a\n"

_RADIANCE = (b"#?RADIANCE", b"#?RGBE")
"""How a Radiance HDR file begins."""

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of HEIF files, 8 bytes into the file; AVIF has others."""

_NAMED = {
    b"%!PS": "an EPS or PostScript drawing",
    b"\xc5\xd0\xd3\xc6": "an EPS drawing",
    b"%PDF": "a PDF document",
    b"\xd7\xcd\xc6\x9a": "a WMF drawing",
    b"\x01\x00\x00\x00": "an EMF drawing",
    b"<svg": "an SVG drawing",
    b"<?xml": "an SVG drawing",
}
"""Files that cannot be read, by how they begin."""


def open_image(data: bytes) -> Image.Image:
    """Opens an image file with Pillow; only formats that hold pixels.

    Raises:
        UnidentifiedImageError: it is none of :data:`FORMATS`.
    """
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _scale_transparent_color(image, data)
    return image


def read_image_file(data: np.ndarray) -> tuple[Image.Image, list[str]]:
    """The first frame of an image file (N,) uint8 as an RGBA image, upright, sRGB with straight alpha, and
    sentences about what was converted.

    Raises:
        InvalidImage: it cannot be read.
    """
    if len(data) == 0:
        raise InvalidImage("The reference image's file is empty. Choose another file.")
    data = data.tobytes()
    try:
        if data.startswith(_RADIANCE):
            return _read_radiance(data)
        if data.startswith(MAGIC):
            return _read_open_exr(data)
        return _read_with_pillow(data)
    except UnidentifiedImageError:
        image = _read_float_tiff(data) if data.startswith(_TIFF) else None
        if image is None:
            raise InvalidImage(_explain_unknown(data)) from None
        return image, [_DEEP]
    except (Image.DecompressionBombError, MemoryError):
        raise InvalidImage(
            "The reference image has too many pixels. Scale it down to 8192 pixels or less and try again."
        ) from None
    except InvalidImage:
        raise
    except Exception as error:  # Pillow's readers raise whatever their parsers raise.
        raise InvalidImage(
            f"The reference image is damaged or cut short ({error}). Save or download it again."
        ) from None


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB-encoded 0..1 of linear values, which are clipped to 0..1 (IEC 61966-2-1)."""
    linear = np.clip(np.nan_to_num(linear), 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _explain_unknown(data: bytes) -> str:
    kind = next((kind for start, kind in _NAMED.items() if data.lstrip().startswith(start)), "")
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        kind = "a HEIC photo" if brand in _HEIF_BRANDS else "a camera's raw file" if brand == b"crx " else ""
    return (
        f"The reference is {kind}, which cannot be read. Save it as PNG or JPEG and try again."
        if kind
        else "The reference is not an image file that can be read. Save it as PNG, JPEG or WebP and try "
        "again."
    )


def _read_radiance(data: bytes) -> tuple[Image.Image, list[str]]:
    """A Radiance HDR image at its own exposure: what is brighter than white is white."""
    linear = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if linear is None:
        raise InvalidImage("The reference image is a damaged HDR file. Save or download it again.")
    return _show_linear(linear[..., ::-1]).convert("RGBA"), [_BRIGHT]


def _read_open_exr(data: bytes) -> tuple[Image.Image, list[str]]:
    """An OpenEXR image, likewise."""
    linear = read_exr(data)
    image = _show_linear(linear[..., :3]).convert("RGBA")
    image.putalpha(Image.fromarray(np.round(255 * linear[..., 3]).astype(np.uint8)))
    return image, [_BRIGHT]


def _show_linear(linear: np.ndarray) -> Image.Image:
    return Image.fromarray(np.round(255 * linear_to_srgb(linear)).astype(np.uint8))


def _read_with_pillow(data: bytes) -> tuple[Image.Image, list[str]]:
    image = open_image(data)
    image.load()
    notes = _note_frames(data)
    image = ImageOps.exif_transpose(image)
    alpha = read_alpha(image)
    if image.mode.startswith(("I", "F")):
        notes.append(_DEEP)
        image = convert_to_8_bits(image)
    if image.mode == "CMYK":
        notes.append("The reference is a CMYK image; it was converted to sRGB.")
    image = _to_srgb(image)
    if alpha is not None:
        image.putalpha(alpha)
    return image, notes


def _note_frames(data: bytes) -> list[str]:
    """What to say of an image file's frames: nothing of a single one."""
    try:
        count = getattr(open_image(data), "n_frames", 1)
    except Exception:  # A later frame is damaged; the first one has been read.
        return ["The reference is animated and damaged; its first frame was used."]
    return [f"The reference is animated; its first of {count} frames was used."] if count > 1 else []


def convert_to_8_bits(image: Image.Image) -> Image.Image:
    """An image of one channel with more than 8 bits as 8-bit grey."""
    values = np.asarray(image)
    span = _find_span(values)
    # A few rows at a time, since all of them in double precision would take many times the image's memory.
    grey = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), ROWS_AT_ONCE):
        rows = np.nan_to_num(values[first : first + ROWS_AT_ONCE].astype(np.float64))
        grey[first : first + ROWS_AT_ONCE] = np.clip(rows / span * 255, 0, 255)
    return Image.fromarray(grey)


def _find_span(values: np.ndarray) -> float:
    """What white is among values: float images are 0..1 or 0..255; integer images are 8 or 16 bits."""
    largest = np.nanmax(values, initial=0)
    return 1.0 if values.dtype.kind == "f" and largest <= 1.0 else 255.0 if largest <= 255 else 65535.0


def _read_float_tiff(data: bytes) -> Image.Image | None:
    """A TIFF in colour with 32 bits per channel, which Pillow does not know; None if it is none."""
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype.kind != "f" or values.ndim != 3 or values.shape[2] not in (3, 4):
        return None
    values[..., :3] /= _find_span(values[..., :3])
    pixels = np.round(255 * np.clip(np.nan_to_num(values), 0, 1)).astype(np.uint8)
    return Image.fromarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]).convert("RGBA")


def _scale_transparent_color(image: Image.Image, data: bytes) -> None:
    """Brings the transparent colour of a PNG to 8 bits. Pillow does so with the pixels only, if their depth
    is 2 or 4 bits in grey or 16 in colour."""
    transparent = image.info.get("transparency")
    if transparent is None or not data.startswith(_PNG):
        return
    depth = data[24]  # in the header, behind signature, length, name, width and height
    if image.mode == "L" and depth < 8:
        image.info["transparency"] = transparent * 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def read_alpha(image: Image.Image) -> Image.Image | None:
    """The alpha of an image: a channel of its own, or one colour that is transparent; None without."""
    # The A of Lab is a colour.
    if "A" in image.getbands() and image.mode != "LAB":
        return image.getchannel("A")
    transparent = image.info.get("transparency")
    if transparent is None:
        return None
    if image.mode.startswith("I"):
        return Image.fromarray(np.where(np.asarray(image) == transparent, 0, 255).astype(np.uint8))
    return image.convert("RGBA").getchannel("A")


def _to_srgb(image: Image.Image) -> Image.Image:
    """The colours of an image as RGBA, through its colour profile if it has one."""
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        return _apply_profile(image, ImageCms.createProfile("LAB")).convert("RGBA")
    # A palette's colours, and those beside an alpha, are in the profile's space, too.
    plain = {"P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBX": "RGB", "LA": "L"}.get(image.mode)
    base = image.convert(plain) if plain and profile else image
    if profile and base.mode in ("L", "RGB", "CMYK"):
        try:
            return _apply_profile(base, ImageCms.ImageCmsProfile(io.BytesIO(profile))).convert("RGBA")
        except (ImageCms.PyCMSError, OSError):
            pass  # A broken profile: an image with slightly wrong colours is better than none.
    return image.convert("RGBA")


def _apply_profile(image: Image.Image, profile) -> Image.Image:
    return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
