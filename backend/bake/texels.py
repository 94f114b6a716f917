"""Texels: where they lie on the surface, and what colour they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numba import njit

from ..mesh.surface import Surface
from ..mesh.uvs import rasterize_atlas
from ..render.rasterize import GBuffer
from ..render.sample import bilinear
from ..render.visibility import observe


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
        _, label = cv2.distanceTransformWithLabels((~self.mask).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        texel = np.zeros(len(self) + 1, np.int32)
        texel[label.ravel()[self.place]] = np.arange(len(self), dtype=np.int32)
        return texel[label]


def locate(surface: Surface, size: int) -> Texels:
    """The texels of a surface's UV layout."""
    face, barycentric = rasterize_atlas(surface.corner_uvs, size)
    place = np.flatnonzero(face.ravel() >= 0)
    face = face.ravel()[place]
    positions = np.empty((len(place), 3), np.float32)
    _interpolate(place, face, barycentric.reshape(-1, 2), surface.faces, surface.vertices, positions)
    return Texels(size, place, positions, surface.face_normals[face], face)


@njit(cache=True, nogil=True)
def _interpolate(place, face, barycentric, faces, vertices, positions):
    for k in range(len(place)):
        u, v = barycentric[place[k], 0], barycentric[place[k], 1]
        a, b, c = faces[face[k], 0], faces[face[k], 1], faces[face[k], 2]
        for axis in range(3):
            positions[k, axis] = u * vertices[a, axis] + v * vertices[b, axis] + (1 - u - v) * vertices[c, axis]


def color(texels: Texels, views: np.ndarray, frames: Sequence[np.ndarray], buffers: Sequence[GBuffer],
          edges: Sequence[np.ndarray], side: int, quality) -> tuple[np.ndarray, np.ndarray]:
    """Every texel's colour from its view, or from the best other view where its own does not see it.

    Args:
        texels: the atlas.
        views: (N,) int32 wanted view per texel, -1 for none.
        frames: per view (H, W, 3) uint8 sRGB.
        buffers, edges: per view what it sees and its edge distances.
        side: the surface's winding.
        quality: ``quality(view, cosine, edge) -> (M,)`` in 0..1, 0 for unusable.

    Returns:
        ``colors`` (N, 3) float32 sRGB 0..255 and ``confidence`` (N,) float32, 0 where no view sees the texel.
    """
    colors = np.zeros((len(texels), 3), np.float32)
    confidence = np.zeros(len(texels), np.float32)

    def read(view: int, index: np.ndarray) -> None:
        pixels, _ = buffers[view].camera.project(texels.positions[index].astype(np.float64))
        colors[index] = bilinear(frames[view], pixels)

    def judge(view: int, index: np.ndarray) -> np.ndarray:
        return quality(view, *observe(texels.positions[index], texels.normals[index], buffers[view], edges[view], side))

    for view in range(len(frames)):
        index = np.flatnonzero(views == view)
        confidence[index] = judge(view, index)
        read(view, index[confidence[index] > 0])

    missed = np.flatnonzero(confidence == 0)
    best = np.full(len(missed), -1, np.int32)
    for view in range(len(frames)):
        offered = judge(view, missed)
        better = offered > confidence[missed]
        confidence[missed[better]] = offered[better]
        best[better] = view
    for view in range(len(frames)):
        read(view, missed[best == view])
    return colors, confidence


def to_image(texels: Texels, values: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 atlas of values (N, C) float32 0..255; every texel off the surface repeats the nearest one on it."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)[texels.nearest]
