"""What each pixel of each view reads of the UV atlas."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..mesh.surface import Surface
from ..render.footprint import project, tangents
from ..render.rasterize import GBuffer, positions

FLATTEST = 0.05
"""Cosine between surface and view below which a view's pixels are too stretched to use."""

EDGE_PIXELS = 6.0
"""A view is trusted fully this many pixels away from a silhouette or depth edge; background bleeds in nearer
to it (specs: baking 5)."""


TILES = 256
"""Tiles along the atlas; at most 256, so that a tile's number fits 16 bits and sorting is quick."""


@dataclass(frozen=True)
class View:
    """The pixels of one view that show the surface well enough to use.

    Attributes:
        pixels: (N,) int32 flat index into the image; ordered by tiles of the atlas, so that reads of it stay
            in the cache.
        points: (N, 3) float32 on the surface.
        places: (N, 2) float32 what each reads of the atlas, as fractions from its left and from its top.
        spread: (N, 2, 2) float32 how much the place moves per pixel: a column per pixel axis, a row per atlas
            axis.
        cosine: (N,) float32 between surface and view.
        edge: (N,) float32 0..1, 0 at silhouettes and depth edges, 1 where they are far.
    """

    pixels: np.ndarray
    points: np.ndarray
    places: np.ndarray
    spread: np.ndarray
    cosine: np.ndarray
    edge: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def weights(self, power: float) -> np.ndarray:
        """(N,) float32, how much each pixel counts: the cosine to a power, less at edges."""
        return self.cosine ** np.float32(power) * self.edge


def observe_atlas(
    surface: Surface, buffers: Sequence[GBuffer], edges: Sequence[np.ndarray], side: int
) -> list[View]:
    """The usable pixels of every view.

    Args:
        surface: with UVs.
        buffers: per view what it sees.
        edges: per view (H, W) float32 pixels to the nearest silhouette or depth edge.
        side: the surface's winding, see :func:`backend.render.visibility.facing`.
    """
    steps = tangents(surface.vertices, surface.faces, surface.corner_uvs, 1)

    def one(buffer: GBuffer, edge: np.ndarray) -> View:
        pixels = np.flatnonzero(edge >= 1).astype(np.int32)
        points = positions(buffer).reshape(-1, 3)[pixels]
        face = buffer.face.ravel()[pixels]
        spread = project(buffer.camera, points, steps, face)[1]
        cosine = np.einsum(
            "nx,nx->n", surface.face_normals[face], buffer.camera.directions_to(points)
        ).astype(np.float32)
        cosine = side * cosine if side else np.abs(cosine)
        places = np.empty((len(pixels), 2), np.float32)
        _places(face, buffer.barycentric.reshape(-1, 2)[pixels], surface.corner_uvs, places)
        invertible = _invert(spread)
        kept = np.flatnonzero(invertible & (cosine >= FLATTEST))
        column, row = (np.clip(places[kept].T, 0, 0.9999) * TILES).astype(np.uint16)
        order = kept[np.argsort(row * np.uint16(TILES) + column, kind="stable")]
        trust = np.clip(edge.ravel()[pixels] / np.float32(EDGE_PIXELS), 0, 1)
        return View(*(values[order] for values in (pixels, points, places, spread, cosine, trust)))

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, buffers, edges))


@njit(cache=True, nogil=True)
def _places(face, barycentric, corner_uvs, places):
    for k in range(len(face)):
        u, v = barycentric[k, 0], barycentric[k, 1]
        corners = corner_uvs[face[k]]
        w = 1 - u - v
        places[k, 0] = u * corners[0, 0] + v * corners[1, 0] + w * corners[2, 0]
        places[k, 1] = 1 - (u * corners[0, 1] + v * corners[1, 1] + w * corners[2, 1])


@njit(cache=True, nogil=True)
def _invert(matrices):
    """Inverts (N, 2, 2) matrices in place; returns (N,) bool, which could be."""
    done = np.zeros(len(matrices), np.bool_)
    for k in range(len(matrices)):
        a, b, c, d = matrices[k, 0, 0], matrices[k, 0, 1], matrices[k, 1, 0], matrices[k, 1, 1]
        determinant = a * d - b * c
        if abs(determinant) > 1e-6:
            matrices[k, 0, 0], matrices[k, 0, 1] = d / determinant, -b / determinant
            matrices[k, 1, 0], matrices[k, 1, 1] = -c / determinant, a / determinant
            done[k] = True
    return done
