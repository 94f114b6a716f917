"""Texels: where they lie on the surface, and what colour they take."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

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
    """

    size: int
    place: np.ndarray
    positions: np.ndarray
    normals: np.ndarray

    def __len__(self) -> int:
        return len(self.place)


def locate(surface: Surface, size: int) -> Texels:
    """The texels of a surface's UV layout."""
    face, barycentric = rasterize_atlas(surface.corner_uvs, size)
    place = np.flatnonzero(face.ravel() >= 0)
    face, weights = face.ravel()[place], barycentric.reshape(-1, 2)[place]
    weights = np.column_stack([weights, 1 - weights.sum(axis=1)])
    corners = surface.vertices[surface.faces[face]]
    return Texels(size, place, np.einsum("nc,ncx->nx", weights, corners).astype(np.float32), surface.face_normals[face])


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


def fill_unseen(texels: Texels, colors: np.ndarray, seen: np.ndarray, seed: int) -> np.ndarray:
    """(N, 3) float32 colours, where texels that no view sees take the mean of near surface of like orientation (AssetGen 7.4)."""
    if seen.all() or not seen.any():
        return colors if seen.any() else np.full_like(colors, 128)
    known = np.flatnonzero(seen)
    known = np.random.default_rng(seed).choice(known, min(len(known), 200_000), replace=False)
    feature = np.hstack([texels.positions, 0.1 * texels.normals])
    distance, near = cKDTree(feature[known]).query(feature[~seen], k=min(8, len(known)), workers=-1)
    distance, near = distance.reshape(len(distance), -1), near.reshape(len(near), -1)
    weight = 1 / (distance + 1e-4) ** 2
    colors = colors.copy()
    colors[~seen] = np.einsum("nk,nkc->nc", weight / weight.sum(axis=1, keepdims=True), colors[known[near]])
    return colors


def to_image(texels: Texels, values: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 atlas of values (N, C) float32 0..255; every texel off the surface repeats the nearest one on it."""
    image = np.zeros((texels.size * texels.size, values.shape[1]), np.uint8)
    image[texels.place] = np.clip(np.round(values), 0, 255)
    empty = np.ones(texels.size * texels.size, np.uint8)
    empty[texels.place] = 0
    _, nearest = cv2.distanceTransformWithLabels(empty.reshape(texels.size, texels.size), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    source = np.zeros(nearest.max() + 1, np.int64)
    source[nearest.ravel()[texels.place]] = texels.place
    return image[source[nearest]].reshape(texels.size, texels.size, -1)
