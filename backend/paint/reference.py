"""The reference image: read from a file's bytes or from pixels, whatever their format."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps

from ..api.errors import InvalidImage
from .image_file import convert_to_8_bits, open_image, read_alpha, read_image_file

MIN_REFERENCE_SIZE = 16
"""Pixels along the shorter side below which an image shows too little to be used."""

MAX_REFERENCE_SIZE = 2048
"""Pixels along the longer side to which a larger image is downscaled: more detail than a texture keeps."""

OPAQUE_FRACTION = 0.999
"""Fraction of an image above which an alpha or a mask that covers it separates no object from a
background."""


@dataclass(frozen=True)
class Reference:
    """The image that the texture follows.

    Attributes:
        color: (H, W, 3) float32 sRGB-encoded 0..1, straight alpha, row 0 at the top.
        alpha: (H, W) float32 0..1; all 1 where the image has none.
        image_notes: sentences for the user about what was converted.
        segmented: whether the alpha was found by segmentation, and is not the image's own.
        mask_notes: sentences for the user about why this alpha may not be the object.
    """

    color: np.ndarray
    alpha: np.ndarray
    image_notes: tuple[str, ...] = ()
    segmented: bool = False
    mask_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """All sentences for the user."""
        return self.image_notes + self.mask_notes

    @property
    def opaque(self) -> bool:
        """Whether the image has no alpha that separates the object from its background."""
        return bool((self.alpha > 0.5).mean() > OPAQUE_FRACTION)

    def with_alpha(self, alpha: np.ndarray) -> "Reference":
        """The same image with another foreground mask, of which nothing is noted."""
        return replace(self, alpha=alpha, mask_notes=())


def decode(data: np.ndarray, mask: np.ndarray | None = None) -> Reference:
    """Decodes the reference of a job.

    Args:
        data: an encoded image file (N,) uint8, or pixels (H, W, 4) uint8 or float32 sRGB straight alpha.
        mask: an encoded image file (N,) uint8, or pixels (H, W) uint8, bright where the object is; it
            replaces the image's alpha. It has the image's size, or the one to which the image is downscaled.
            None: the image has its own alpha, or none.

    Raises:
        InvalidImage: not an image, damaged, empty, transparent everywhere or too small; or the mask is none
            for this image.
    """
    image, notes = read_image_file(data) if data.ndim == 1 else (_from_pixels(data), [])
    if mask is not None:
        image.putalpha(_decode_mask(mask, image.size))
    if min(image.size) < MIN_REFERENCE_SIZE:
        raise InvalidImage(
            f"The reference image is only {image.width} x {image.height} pixels. "
            f"Choose one of at least {MIN_REFERENCE_SIZE} x {MIN_REFERENCE_SIZE}."
        )
    if max(image.size) > MAX_REFERENCE_SIZE:
        image.thumbnail((MAX_REFERENCE_SIZE, MAX_REFERENCE_SIZE), Image.Resampling.LANCZOS)
    pixels = np.asarray(image, np.float32) / 255
    if pixels[..., 3].max() < 0.5:
        raise InvalidImage("The reference image is transparent everywhere. Choose one that shows the object.")
    return Reference(
        np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]), tuple(notes)
    )


def _decode_mask(data: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """The mask as an 8-bit grey image; ``size`` is the reference's width and height."""
    if data.ndim == 1:
        try:
            mask = _read_mask(ImageOps.exif_transpose(open_image(data.tobytes())))
        except Exception:  # Pillow's readers raise whatever their parsers raise.
            raise InvalidImage(
                "The mask is not an image file that can be read. Save it as a black and white PNG."
            ) from None
    else:
        mask = Image.fromarray(data)
    if mask.getextrema() == (0, 1):
        # Labels, as segmentation tools write them: 1 is the object.
        mask = mask.point(lambda value: 255 * value)
    if _is_downscaled(mask.size, size):
        mask = mask.resize(size, Image.Resampling.BILINEAR)
    if mask.size != size:
        raise InvalidImage(
            f"The mask has {mask.width} x {mask.height} pixels and the reference image {size[0]} x "
            f"{size[1]}. Draw the mask on the image itself, or scale it to the same size."
        )
    covered = (np.asarray(mask) > 127).mean()
    if covered == 0:
        raise InvalidImage("The mask is black everywhere. Paint the object white in it.")
    if covered > OPAQUE_FRACTION:
        raise InvalidImage(
            "The mask is white everywhere. Paint black what is not the object, or leave the mask out. If the "
            "object fills the image, use one that shows the whole object."
        )
    return mask


def _is_downscaled(mask: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a mask has the size to which an image larger than :data:`MAX_REFERENCE_SIZE` is downscaled."""
    scale = MAX_REFERENCE_SIZE / max(size)
    return scale < 1 and all(abs(have - scale * pixels) <= 1 for have, pixels in zip(mask, size, strict=True))


def _read_mask(image: Image.Image) -> Image.Image:
    """The mask in an image, 8-bit grey: its alpha, if that says anything, as in a cut-out image; else its
    brightness."""
    alpha = read_alpha(image)
    if alpha is not None and alpha.getextrema()[0] < 255:
        return alpha
    if image.mode.startswith(("I", "F")):
        image = convert_to_8_bits(image)
    return image.convert("L")


def _from_pixels(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8:
        pixels = np.round(np.clip(np.nan_to_num(pixels), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels)
