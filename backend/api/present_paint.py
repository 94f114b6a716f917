"""The paint that an object wears before a job, which may stay where no picture shows the object."""

from dataclasses import dataclass

import numpy as np

from .arrays import check_array
from .errors import ProtocolError

MAX_IMAGES = 256
"""The most images that the present paint can have: as many as an object has materials, or a few more."""

_IMAGE = "image."
"""Prefix of the names of the images among the arrays of a present paint."""


@dataclass(frozen=True)
class PresentPaint:
    """The base colour of a job's mesh as it is now. That of a point is its image's colour times its corners'
    colours, both sRGB-encoded; either may be missing.

    Attributes:
        images: encoded files (N,) uint8, or pixels (H, W, 3 or 4) uint8, sRGB-encoded, row 0 at the top,
            whose alpha is not looked at. They repeat beyond 0..1.
        image_of_face: (F,) int32, which image each triangle of the job wears; -1 for none.
        corner_uvs: (F, 3, 2) float32, v up, by which each triangle reads its image; None without images.
        corner_colors: (F, 3, 3) float32 0..1, sRGB-encoded; None if all are white.
        mask: how much of it stays on each triangle, (F,) uint8, 0 where there is no paint to keep; None: all
            of it.
    """

    images: tuple[np.ndarray, ...]
    image_of_face: np.ndarray
    corner_uvs: np.ndarray | None = None
    corner_colors: np.ndarray | None = None
    mask: np.ndarray | None = None

    def __post_init__(self):
        count = len(self.image_of_face)
        check_array("present.image_of_face", self.image_of_face, np.int32, (None,))
        for name, dtype, shape in (
            ("corner_uvs", np.float32, (count, 3, 2)),
            ("corner_colors", np.float32, (count, 3, 3)),
            ("mask", np.uint8, (count,)),
        ):
            if (value := getattr(self, name)) is not None:
                check_array(f"present.{name}", value, dtype, shape)
        if len(self.images) > MAX_IMAGES:
            raise ProtocolError(f"The present paint has more than {MAX_IMAGES} images.")
        if count and not -1 <= self.image_of_face.min() <= self.image_of_face.max() < len(self.images):
            raise ProtocolError("The present paint has an image that does not exist.")
        if self.images and self.corner_uvs is None:
            raise ProtocolError("The present paint has images, but no UVs to read them by.")
        for image in self.images:
            is_pixels = image.ndim == 3 and image.shape[2] in (3, 4) and image.size
            if image.dtype != np.uint8 or not (image.ndim == 1 or is_pixels):
                raise ProtocolError(
                    "An image of the present paint must be a file or pixels (H, W, 3) or (H, W, 4) uint8."
                )

    def arrays(self) -> dict[str, np.ndarray]:
        """What travels as raw frames, by name."""
        parts = {
            "image_of_face": self.image_of_face,
            "corner_uvs": self.corner_uvs,
            "corner_colors": self.corner_colors,
            "mask": self.mask,
        } | {f"{_IMAGE}{number}": image for number, image in enumerate(self.images)}
        return {name: array for name, array in parts.items() if array is not None}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> "PresentPaint":
        """The paint from what :meth:`arrays` returned. Raises :class:`OrbitError`."""
        rest = {name: array for name, array in arrays.items() if not name.startswith(_IMAGE)}
        count = len(arrays) - len(rest)
        names = [f"{_IMAGE}{number}" for number in range(count)]
        known = {"image_of_face", "corner_uvs", "corner_colors", "mask"}
        if unknown := sorted(set(rest) - known):
            raise ProtocolError(f"The present paint has no array called '{unknown[0]}'.")
        if not {"image_of_face", *names} <= set(arrays):
            raise ProtocolError("The present paint lacks its faces' images, or one of those.")
        return PresentPaint(tuple(arrays[name] for name in names), **rest)
