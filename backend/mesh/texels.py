"""Texels: where the pixels of an atlas lie on the surface."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numba import njit

from .surface import Surface
from .uvs import rasterize_atlas


@dataclass(frozen=True)
class Texels:
    """The pixels of the UV atlas that lie on the surface.

    Attributes:
        size: width and height of the atlas.
        place: (N,) int64 flat index into the atlas, row 0 at the top.
        positions: (N, 3) float32.
        normals: (N, 3) float32 unit geometric normals.
        face: (N,) int32.
    """

    size: int
    place: np.ndarray
    positions: np.ndarray
    normals: np.ndarray
    face: np.ndarray

    def __len__(self) -> int:
        return len(self.place)

    @property
    def mask(self) -> np.ndarray:
        """(S, S) bool: the pixels of the atlas that lie on the surface."""
        mask = np.zeros((self.size, self.size), bool)
        mask.ravel()[self.place] = True
        return mask

    @cached_property
    def nearest(self) -> np.ndarray:
        """(S, S) int32: for every pixel of the atlas the texel nearest to it, itself on the surface."""
        return nearest_in_mask(self.mask)


def nearest_in_mask(mask: np.ndarray) -> np.ndarray:
    """(S, S) int32: for every pixel the nearest one of a mask (S, S) bool, itself where it is in the mask;
    the mask's pixels are numbered in flat order."""
    _, label = cv2.distanceTransformWithLabels(
        (~mask).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    count = np.count_nonzero(mask)
    number = np.zeros(count + 1, np.int32)
    number[label[mask]] = np.arange(count, dtype=np.int32)
    return number[label]


def locate_texels(surface: Surface, size: int) -> Texels:
    """The texels of a surface's UV layout."""
    face, barycentric = rasterize_atlas(surface.corner_uvs, size)
    place = np.flatnonzero(face.ravel() >= 0)
    face = face.ravel()[place]
    positions = np.empty((len(place), 3), np.float32)
    _interpolate_positions(
        place, face, barycentric.reshape(-1, 2), surface.faces, surface.vertices, positions
    )
    return Texels(size, place, positions, surface.face_normals[face], face)


@njit(cache=True, nogil=True)
def _interpolate_positions(place, face, barycentric, faces, vertices, positions):
    """Writes the points (N, 3) of texels from the barycentric weights of the atlas."""
    for k in range(len(place)):
        u, v = barycentric[place[k], 0], barycentric[place[k], 1]
        a, b, c = faces[face[k], 0], faces[face[k], 1], faces[face[k], 2]
        for axis in range(3):
            positions[k, axis] = (
                u * vertices[a, axis] + v * vertices[b, axis] + (1 - u - v) * vertices[c, axis]
            )


def to_atlas(texels: Texels, values: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 atlas of values (N, C) float32 0..255; every texel off the surface repeats the nearest
    one on it."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)[texels.nearest]
