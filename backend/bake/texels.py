"""Texels: where they lie on the surface, and what colour they take."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numba import njit

from ..fuse.observations import View
from ..mesh.surface import Surface
from ..mesh.uvs import rasterize_atlas
from ..render.footprint import project, pyramid, sample, tangents
from ..render.rasterize import GBuffer


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
        return nearest(self.mask)


def nearest(mask: np.ndarray) -> np.ndarray:
    """(S, S) int32: for every pixel the nearest one in a mask (S, S) bool, itself where it is in; numbered in
    the mask's flat order."""
    _, label = cv2.distanceTransformWithLabels(
        (~mask).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    count = np.count_nonzero(mask)
    number = np.zeros(count + 1, np.int32)
    number[label[mask]] = np.arange(count, dtype=np.int32)
    return number[label]


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
            positions[k, axis] = (
                u * vertices[a, axis] + v * vertices[b, axis] + (1 - u - v) * vertices[c, axis]
            )


def color(
    texels: Texels,
    wanted: np.ndarray,
    surface: Surface,
    buffers: Sequence[GBuffer],
    views: Sequence[View],
    colors: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """What single views show of texels, over the patch of the frame that each covers (AssetGen 7.4).

    Args:
        texels: the atlas.
        wanted: (N,) int32 view per texel, -1 for none.
        surface, buffers: what the views look at, and see.
        views, colors: per view its usable pixels, and (M, 3) float32 their colours.

    Returns:
        (N, 3) float32 colours, and (N,) bool, whether the texel was read.
    """
    result = np.zeros((len(texels), 3), np.float32)
    steps = tangents(surface.vertices, surface.faces, surface.corner_uvs, texels.size)

    def read(view: int) -> None:
        index = np.flatnonzero(wanted == view)
        if len(index) and len(views[view]):
            shape = buffers[view].face.shape
            frame, mask = np.zeros((shape[0] * shape[1], 3), np.float32), np.zeros(shape, bool)
            frame[views[view].pixels] = colors[view]
            mask.ravel()[views[view].pixels] = True
            pixels, jacobians = project(
                buffers[view].camera, texels.positions[index], steps, texels.face[index]
            )
            result[index] = sample(pyramid(frame.reshape(*shape, 3), mask), pixels, jacobians)

    with ThreadPoolExecutor() as pool:
        list(pool.map(read, range(len(views))))
    return result, wanted >= 0


def to_image(texels: Texels, values: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 atlas of values (N, C) float32 0..255; every texel off the surface repeats the nearest
    one on it."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)[texels.nearest]
