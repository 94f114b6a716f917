"""What each pixel of each view reads of the UV atlas."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..mesh.surface import Surface
from ..parallel import map_parallel
from ..render.footprint import project_texels, texel_tangents
from ..render.rasterize import GBuffer, positions
from ..render.visibility import edge_distances, find_winding

MIN_COSINE = 0.05
"""Cosine between surface and view below which a view's pixels are too stretched to use."""

EDGE_PIXELS = 6.0
"""A view is trusted fully this many pixels away from a silhouette or depth edge; background bleeds in nearer
to it (docs/baking.md#trust-ramps-up-from-silhouettes)."""

SORT_CELLS = 256
"""Cells along the atlas by which pixels are sorted; at most 256, so that a cell's number fits 16 bits and
sorting is quick."""

MIN_DETERMINANT = 1e-6
"""Texture Jacobians below this determinant are not inverted."""


@dataclass(frozen=True)
class View:
    """The pixels of one view that show the surface well enough to use.

    Attributes:
        pixels: (N,) int32 flat index into the image; ordered by cells of the atlas, so that reads of it stay
            in the cache.
        points: (N, 3) float32 on the surface.
        places: (N, 2) float32 what each reads of the atlas, as fractions from its left and from its top.
        jacobian: (N, 2, 2) float32 how much the place moves per pixel: a column per pixel axis, a row per
            atlas axis.
        cosine: (N,) float32 between surface and view.
        edge_trust: (N,) float32 0..1, 0 at silhouettes and depth edges, 1 where they are far.
    """

    pixels: np.ndarray
    points: np.ndarray
    places: np.ndarray
    jacobian: np.ndarray
    cosine: np.ndarray
    edge_trust: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def weights(self, power: float) -> np.ndarray:
        """(N,) float32, how much each pixel counts: the cosine to a power, less at edges."""
        return self.cosine ** np.float32(power) * self.edge_trust


@dataclass(frozen=True)
class PaintedViews:
    """The views that were painted: what each sees of the surface, and how far it is trusted.

    Attributes:
        buffers: per view its G-buffer.
        edges: per view (H, W) float32 pixels to the nearest silhouette or depth edge.
        winding: (F,) int8 of the faces, see :func:`backend.render.visibility.find_winding`.
        preference: (T,) float32 0..1 per view, how much the painter trusts it.
    """

    buffers: Sequence[GBuffer]
    edges: Sequence[np.ndarray]
    winding: np.ndarray
    preference: np.ndarray

    @staticmethod
    def of(surface: Surface, buffers: Sequence[GBuffer], preference: np.ndarray) -> "PaintedViews":
        """The views with these G-buffers of a surface."""
        return PaintedViews(buffers, edge_distances(buffers), find_winding(surface, buffers), preference)


def observe_atlas(
    surface: Surface, buffers: Sequence[GBuffer], edges: Sequence[np.ndarray], winding: np.ndarray
) -> list[View]:
    """The usable pixels of every view.

    Args:
        surface: with UVs.
        buffers: per view its G-buffer.
        edges: per view (H, W) float32 pixels to the nearest silhouette or depth edge.
        winding: (F,) int8 of the faces, see :func:`backend.render.visibility.find_winding`.
    """
    steps = texel_tangents(surface.vertices, surface.faces, surface.corner_uvs, 1)

    def observe_view(buffer: GBuffer, edge: np.ndarray) -> View:
        # Pixels with a neighbour on the same surface, and the points under them.
        pixels = np.flatnonzero(edge >= 1).astype(np.int32)
        points = positions(buffer).reshape(-1, 3)[pixels]
        face = buffer.face.ravel()[pixels]
        # Pixels per unit of the atlas, inverted below.
        jacobian = project_texels(buffer.camera, points, steps, face)[1]
        cosine = np.einsum(
            "nx,nx->n", surface.face_normals[face], buffer.camera.directions_to(points)
        ).astype(np.float32)
        cosine = np.where(winding[face] == 0, np.abs(cosine), winding[face] * cosine)
        places = np.empty((len(pixels), 2), np.float32)
        _atlas_places(face, buffer.barycentric.reshape(-1, 2)[pixels], surface.corner_uvs, places)
        invertible = _invert(jacobian)
        kept = np.flatnonzero(invertible & (cosine >= MIN_COSINE))
        # In the order in which they lie in the atlas, cell by cell.
        column, row = (np.clip(places[kept].T, 0, 0.9999) * SORT_CELLS).astype(np.uint16)
        order = kept[np.argsort(row * np.uint16(SORT_CELLS) + column, kind="stable")]
        trust = np.clip(edge.ravel()[pixels] / np.float32(EDGE_PIXELS), 0, 1)
        return View(*(values[order] for values in (pixels, points, places, jacobian, cosine, trust)))

    return map_parallel(observe_view, buffers, edges)


@njit(cache=True, nogil=True)
def _atlas_places(face, barycentric, corner_uvs, places):
    """Writes the places (N, 2) that points (N,) of faces have in the atlas, from its left and top."""
    for k in range(len(face)):
        u, v = barycentric[k, 0], barycentric[k, 1]
        corners = corner_uvs[face[k]]
        w = 1 - u - v
        places[k, 0] = u * corners[0, 0] + v * corners[1, 0] + w * corners[2, 0]
        places[k, 1] = 1 - (u * corners[0, 1] + v * corners[1, 1] + w * corners[2, 1])


@njit(cache=True, nogil=True)
def _invert(matrices):
    """Inverts matrices (N, 2, 2) in place. Returns (N,) bool, which of them have an inverse."""
    done = np.zeros(len(matrices), np.bool_)
    for k in range(len(matrices)):
        a, b, c, d = matrices[k, 0, 0], matrices[k, 0, 1], matrices[k, 1, 0], matrices[k, 1, 1]
        determinant = a * d - b * c
        if abs(determinant) > MIN_DETERMINANT:
            matrices[k, 0, 0], matrices[k, 0, 1] = d / determinant, -b / determinant
            matrices[k, 1, 0], matrices[k, 1, 1] = -c / determinant, a / determinant
            done[k] = True
    return done
