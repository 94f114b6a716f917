"""The paint that the surface wears before it is painted: where no picture shows it, that may stay."""

from dataclasses import dataclass, replace

import numpy as np

from ..api.errors import InvalidImage
from ..api.present_paint import PresentPaint
from ..image import decode_image
from ..mesh.surface import Surface
from ..render.photograph import texture_lookup

LIGHT_RANGE = 2.0
"""Logarithms of light from minus this to this are stored in a map of the light at the border."""


@dataclass(frozen=True)
class PresentSurface:
    """The present paint on the prepared surface.

    Attributes:
        surface: the one that is painted.
        images: (H, W, 3) uint8 sRGB each.
        image_of_face: (F,) int32, of the surface's faces; -1 for none.
        corner_uvs: (F, 3, 2) float32.
        corner_colors: (F, 3, 3) float32 0..1, sRGB-encoded.
        share: (F,) float32 0..1, how much of it stays where no picture shows the face.
    """

    surface: Surface
    images: tuple[np.ndarray, ...]
    image_of_face: np.ndarray
    corner_uvs: np.ndarray
    corner_colors: np.ndarray
    share: np.ndarray

    @staticmethod
    def of(
        surface: Surface, paint: PresentPaint, images: tuple[np.ndarray, ...], weight: float = 1.0
    ) -> "PresentSurface":
        """A job's paint, with its decoded images, on the surface that was prepared of its mesh. Of all of it
        stays as much as ``weight``, 0..1, says."""
        faces, count = surface.job_faces, len(paint.image_of_face)
        uvs = np.zeros((count, 3, 2), np.float32) if paint.corner_uvs is None else paint.corner_uvs
        colors = np.ones((count, 3, 3), np.float32) if paint.corner_colors is None else paint.corner_colors
        mask = np.full(count, 255, np.uint8) if paint.mask is None else paint.mask
        uvs, colors = _sound(uvs[faces]), np.clip(_sound(colors[faces]), 0, 1)
        # The mirror image of half of a body has its corners in reverse order.
        repeated = np.ones(len(faces), bool)
        repeated[np.unique(faces, return_index=True)[1]] = False
        uvs[repeated], colors[repeated] = uvs[repeated][:, ::-1], colors[repeated][:, ::-1]
        share = weight * mask[faces].astype(np.float32) / 255
        return PresentSurface(surface, images, paint.image_of_face[faces], uvs, colors, share)

    def look_up(self, points: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(colors, share)``: (N, 3) float32 sRGB 0..1 at points (N, 3) near faces (N,), and (N,) float32,
        how much of each stays where no picture shows it."""
        weights = barycentric_weights(self.surface, points, face)
        colors = np.einsum("nc,ncx->nx", weights, self.corner_colors[face])
        textured = self.image_of_face[face] >= 0
        if textured.any():
            lookup = texture_lookup(self.corner_uvs, self.images, self.image_of_face)
            colors[textured] *= lookup(face[textured], weights[textured], points[textured]) / np.float32(255)
        return colors.astype(np.float32), self.share[face]

    def halved(self) -> "PresentSurface":
        """The same for paint that is laid on twice, first on the frames and then on the texture, which
        together are as much as its share."""
        return replace(self, share=1 - np.sqrt(1 - self.share))


def decode_present(paint: PresentPaint) -> tuple[np.ndarray, ...]:
    """(H, W, 3) uint8 sRGB of each image of a present paint. Raises :class:`InvalidImage`."""
    images = []
    for number, image in enumerate(paint.images, 1):
        if image.ndim == 1:
            decoded = decode_image(image, color=True)
            if decoded is None:
                raise InvalidImage(
                    f"Image {number} of the present texture cannot be read. Repair it in the object's "
                    "material, or start from nothing."
                )
            image = decoded[..., ::-1]
        images.append(np.ascontiguousarray(image[..., :3]))
    return tuple(images)


def barycentric_weights(surface: Surface, points: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(N, 3) float64 weights of the corners of faces (N,) at the places in them nearest to points (N, 3)."""
    a, b, c = np.moveaxis(surface.vertices[surface.faces[face]].astype(np.float64), 1, 0)
    one, other, to = b - a, c - a, points - a
    d00, d01, d11 = ((x * y).sum(axis=1) for x, y in ((one, one), (one, other), (other, other)))
    d20, d21 = (to * one).sum(axis=1), (to * other).sum(axis=1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    second, third = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    weights = np.clip(np.column_stack([1 - second - third, second, third]), 0, 1)
    return weights / weights.sum(axis=1, keepdims=True)


def encode_light(log_light: np.ndarray) -> np.ndarray:
    """Logarithms of light as the values 0..255 of a map; what is usual is 128."""
    return 128 + 127 * np.clip(log_light / LIGHT_RANGE, -1, 1)


def decode_light(values: np.ndarray) -> np.ndarray:
    """What :func:`encode_light` has encoded."""
    return (values.astype(np.float32) - 128) / 127 * LIGHT_RANGE


def _sound(values: np.ndarray) -> np.ndarray:
    """The values, 0 where they are no numbers."""
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
