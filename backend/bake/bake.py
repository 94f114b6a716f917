"""The bake stage: frames on views of the surface become a texture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..mesh.surface import Surface
from ..mesh.voxels import voxelize
from ..render.rasterize import GBuffer
from ..render.visibility import edge_distance, facing, observe
from .fill import fill_unseen
from .labels import choose_views
from .seams import equalise
from .texels import color, locate, to_image

EDGE_PIXELS = 4.0
"""A view is trusted fully this many pixels away from a silhouette or depth edge; background bleeds in nearer to it (specs: baking 5)."""

FLATTEST = 0.05
"""Cosine between surface and view below which a view's pixels are too stretched to use."""

SMOOTHNESS = 0.7
"""Cost of a border between two views, per voxel side, against a data cost of 0 to 1 per voxel."""


@dataclass(frozen=True)
class Texture:
    """What the bake makes.

    Attributes:
        base_color: (S, S, 3) uint8 sRGB, row 0 at the top, padded beyond the islands.
        confidence: (S, S, 1) uint8 linear: how well the texel's view sees it, 0 where none does.
        coverage: (S, S, 1) uint8, 255 where a view sees the texel, else 0.
        covered: share of the texels that a view sees.
    """

    base_color: np.ndarray
    confidence: np.ndarray
    coverage: np.ndarray
    covered: float


def bake(surface: Surface, buffers: Sequence[GBuffer], frames: Sequence[np.ndarray], preference: np.ndarray, size: int,
         voxel_resolution: int, seed: int, progress: Callable[[float], None]) -> Texture:
    """Chooses a view per voxel and colours every texel from it.

    Args:
        surface: with UVs.
        buffers: per view what it sees.
        frames: per view (H, W, 3) uint8 sRGB.
        preference: (T,) 0..1 per view, how much the painter trusts it.
        size: width and height of the texture.
        voxel_resolution: of the grid on which views are chosen.
        seed: of the sample that unseen texels are filled from.
        progress: told the fraction done.
    """

    def quality(view: int, cosine: np.ndarray, edge: np.ndarray) -> np.ndarray:
        usable = (cosine >= FLATTEST) & (edge >= 1)
        return np.where(usable, preference[view] * np.sqrt(cosine) * np.clip(edge / EDGE_PIXELS, 0.05, 1), 0).astype(np.float32)

    side = facing(surface, buffers)
    edges = [edge_distance(buffer) for buffer in buffers]
    voxels = voxelize(surface, voxel_resolution)
    progress(0.1)
    sight = np.empty((len(voxels), len(buffers)), np.float32)
    for view, buffer in enumerate(buffers):
        sight[:, view] = quality(view, *observe(voxels.positions, voxels.normals, buffer, edges[view], side))
    progress(0.2)
    labels = choose_views(voxels, np.ceil(255 * sight).astype(np.uint8), SMOOTHNESS)
    progress(0.5)
    texels = locate(surface, size)
    index = voxels.index_of(texels.positions)
    colors, confidence = color(texels, np.where(index >= 0, labels[index], -1), frames, buffers, edges, side, quality)
    progress(0.8)
    seen = confidence > 0
    base_color = to_image(texels, fill_unseen(texels.positions, texels.normals, colors, seen, seed))
    base_color = equalise(base_color, texels.mask, surface.faces, surface.corner_uvs)
    texture = Texture(base_color, to_image(texels, 255 * confidence[:, None]), to_image(texels, 255 * seen[:, None]), float(seen.mean()))
    progress(1.0)
    return texture
