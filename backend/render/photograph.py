"""Pictures of surfaces whose true colours are known: what a painter should paint."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..mesh.surface import Surface
from .camera import Camera
from .rasterize import rasterize, seen_points
from .sample import bilinear

Color = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""``color(face (N,), weights (N, 3), points (N, 3)) -> (N, 3)`` float32 sRGB 0..255: the colours of points on
a surface's faces."""


def photograph(surface: Surface, color: Color, camera: Camera, samples: int = 3) -> np.ndarray:
    """(H, W, 3) float32 sRGB 0..255: the colours that a camera sees, unlit, ``samples`` squared samples per
    pixel, black background."""
    fine = replace(camera, width=samples * camera.width, height=samples * camera.height)
    buffer = rasterize(surface.vertices, surface.faces, fine)
    image = np.zeros((*buffer.face.shape, 3), np.float32)
    weights = buffer.barycentric[buffer.mask]
    weights = np.column_stack([weights, 1 - weights.sum(axis=1)])
    image[buffer.mask] = color(buffer.face[buffer.mask], weights, seen_points(buffer))
    return image.reshape(camera.height, samples, camera.width, samples, 3).mean(axis=(1, 3))


def wearing(corner_uvs: np.ndarray, images: Sequence[np.ndarray], image_of: np.ndarray) -> Color:
    """The colours of faces that wear pictures.

    Args:
        corner_uvs: (F, 3, 2), v up; pictures repeat beyond 0..1.
        images: (H, W, 3) uint8 sRGB each.
        image_of: (F,) int, which of them a face wears.
    """

    def color(face: np.ndarray, weights: np.ndarray, points: np.ndarray) -> np.ndarray:
        uvs = np.einsum("nc,ncx->nx", weights, corner_uvs[face])
        uvs = np.where((uvs < 0) | (uvs > 1), uvs % 1, uvs)
        result = np.empty((len(face), 3), np.float32)
        for index, image in enumerate(images):
            here = image_of[face] == index
            result[here] = bilinear(image, uvs[here] * (1, -1) * image.shape[1::-1] + (0, image.shape[0]))
        return result

    return color
