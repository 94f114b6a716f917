"""The reference image: read from a file's bytes or from pixels, whatever their format."""

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..api.errors import InvalidImage

SMALLEST, LARGEST = 16, 2048
"""Shorter side that still shows something, and longer side that is worth keeping, in pixels."""


@dataclass(frozen=True)
class Reference:
    """The picture to follow.

    Attributes:
        color: (H, W, 3) float32 sRGB-encoded 0..1, straight alpha, row 0 at the top.
        alpha: (H, W) float32 0..1; all 1 where the image has none.
        notes: sentences about what was converted.
    """

    color: np.ndarray
    alpha: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def opaque(self) -> bool:
        """Whether the image itself says nothing about its foreground."""
        return bool((self.alpha > 0.5).mean() > 0.999)

    def with_alpha(self, alpha: np.ndarray) -> "Reference":
        """The same picture with another foreground."""
        return replace(self, alpha=alpha)


def decode(data: np.ndarray) -> Reference:
    """The reference of a job.

    Args:
        data: an encoded image file (N,) uint8, or pixels (H, W, 4) uint8 or float32 sRGB straight alpha.

    Raises:
        InvalidImage: not an image, damaged, empty or too small.
    """
    image, notes = _open(data) if data.ndim == 1 else (_from_pixels(data), [])
    if min(image.size) < SMALLEST:
        raise InvalidImage(
            f"The reference image is only {image.width} x {image.height} pixels. "
            f"Choose one of at least {SMALLEST} x {SMALLEST}."
        )
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    pixels = np.asarray(image, np.float32) / 255
    if pixels[..., 3].max() < 0.5:
        raise InvalidImage("The reference image is transparent everywhere. Choose one that shows the object.")
    return Reference(
        np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]), tuple(notes)
    )


def _from_pixels(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8:
        pixels = np.round(np.clip(np.nan_to_num(pixels), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels)


def _open(data: np.ndarray) -> tuple[Image.Image, list[str]]:
    if len(data) == 0:
        raise InvalidImage("The reference image's file is empty. Choose another file.")
    notes = []
    try:
        image = Image.open(io.BytesIO(data.tobytes()))
        if getattr(image, "n_frames", 1) > 1:
            notes.append(f"The reference is animated; its first of {image.n_frames} frames was used.")
        image.load()
    except UnidentifiedImageError:
        raise InvalidImage(
            "The reference is not an image file that can be read. Save it as PNG, JPEG or WebP and try again."
        ) from None
    except Image.DecompressionBombError:
        raise InvalidImage(
            "The reference image has too many pixels. Scale it down to 8192 pixels or less and try again."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidImage(
            f"The reference image is damaged or cut short ({error}). Save or download it again."
        ) from None
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        notes.append("The reference has more than 8 bits per channel; 8 were used.")
        image = _eight_bits(image)
    if image.mode == "CMYK":
        notes.append("The reference is a CMYK image; it was converted to sRGB.")
    return _to_srgb(image), notes


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, np.float64)
    span = 1.0 if image.mode == "F" and values.max() <= 1.0 else 255.0 if values.max() <= 255 else 65535.0
    return Image.fromarray(np.clip(values / span * 255, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        try:
            base = image.convert("RGB") if image.mode == "RGBA" else image
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # A broken profile: the numbers as they are beat no picture.
    image = image.convert("RGBA")
    if alpha is not None:
        image.putalpha(alpha)
    return image
