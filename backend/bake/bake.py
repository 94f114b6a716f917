"""The bake stage: aligned frames become a texture.

Where views agree, the texture is what re-renders them all; where they do not, the graph cut's view decides
(specs: baking 5).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from ..align.align import Alignment
from ..fuse.solve import blend, fit
from ..mesh.surface import Surface
from ..mesh.voxels import Voxels, interpolate, voxelize
from ..render.rasterize import GBuffer
from ..render.visibility import observe
from .agreement import contested, decided_weights, share_low_band, voxel_statistics
from .borders import border_weights
from .fill import fill_unseen
from .labels import WORST, choose_views
from .seams import equalise
from .texels import Texels, color, locate, nearest, to_image

EDGE_PIXELS = 4.0
"""A view may be a label, fully trusted, this many pixels away from a silhouette or depth edge."""

FLATTEST = 0.05
"""Cosine between surface and view below which a view's pixels are too stretched to use."""

SMOOTHNESS = 0.7
"""Cost of a border between two views, per voxel side, against a data cost of 0 to 1 per voxel."""

BLEND_POWER, FIT_POWER = 6.0, 2.0
"""Of the cosine in the weights: a blend must not blur, a fit needs all the views it can get."""

TRUST_POWER = 4.0
"""Of a view's preference in the weights: many little trusted views must not outvote a trusted one."""

FIT_STEPS = 3
"""Of conjugate gradients: more bring little, and noise."""


@dataclass(frozen=True)
class Texture:
    """What the bake makes, and a refinement adds to.

    Attributes:
        base_color: (S, S, 3) uint8 sRGB, row 0 at the top, padded beyond the islands.
        confidence: (S, S, 1) uint8 linear: how squarely the texel's views see it and how well they agree, 0
            where none does.
        coverage: (S, S, 1) uint8, 255 where a view sees the texel, else 0.
        disagreement: (S, S, 3) uint8: root mean square difference between frames, 0..255, before alignment in
            red, after it in green.
        covered: share of the texels that a view sees.
        metallic, roughness, alpha: (S, S, 1) uint8 linear of the material, padded likewise; None without a
            refinement, alpha also if the surface is opaque.
        notes: sentences for the user.
    """

    base_color: np.ndarray
    confidence: np.ndarray
    coverage: np.ndarray
    disagreement: np.ndarray
    covered: float
    metallic: np.ndarray | None = None
    roughness: np.ndarray | None = None
    alpha: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def bare(size: int) -> Texture:
    """A texture that no view has seen, size x size texels of it."""
    nothing = np.zeros((size, size, 1), np.uint8)
    return Texture(
        np.full((size, size, 3), 128, np.uint8), nothing, nothing, np.zeros((size, size, 3), np.uint8), 0.0
    )


def bake(
    surface: Surface,
    buffers: Sequence[GBuffer],
    edges: Sequence[np.ndarray],
    alignment: Alignment,
    preference: np.ndarray,
    side: int,
    size: int,
    voxel_resolution: int,
    seed: int,
    progress: Callable[[float], None],
) -> Texture:
    """Fuses the frames.

    Args:
        surface: with UVs.
        buffers: per view what it sees.
        edges: per view (H, W) float32 pixels to the nearest silhouette or depth edge.
        alignment: the frames.
        preference: (T,) 0..1 per view, how much the painter trusts it.
        side: the surface's winding.
        size: width and height of the texture.
        voxel_resolution: of the grid on which views are chosen.
        seed: of the sample that unseen texels are filled from.
        progress: told the fraction done.
    """
    views, small = alignment.views, fitting_size(alignment, size)
    trust = preference**TRUST_POWER
    weights = [share * view.weights(BLEND_POWER) for share, view in zip(trust, views, strict=True)]
    consensus, _ = blend(views, weights, alignment.colors, small)
    colors = share_low_band(views, alignment.colors, consensus, [buffer.face.shape for buffer in buffers])
    progress(0.1)
    voxels = voxelize(surface, voxel_resolution)
    mean, spread = voxel_statistics(voxels, views, weights, colors, consensus)
    sight = view_quality(voxels, buffers, edges, preference, side)
    progress(0.25)
    labels = choose_views(voxels, sight, SMOOTHNESS, border_weights(voxels.edges, mean, spread))
    doubt = contested(voxels, spread)
    progress(0.45)
    texels = locate(surface, small)
    start, weight = blend(views, weights, colors, small)
    local_doubt, squareness = interpolate(
        voxels, np.column_stack([doubt, sight.max(axis=1)]), texels.positions
    ).T
    index = voxels.index_of(texels.positions)
    wanted = np.where(index >= 0, labels[index], -1)
    seen = _start_at_labels(start, weight, texels, local_doubt, wanted, surface, buffers, views, colors)
    weights = [share * view.weights(FIT_POWER) for share, view in zip(trust, views, strict=True)]
    most = (sight.max(axis=1) / np.float32(WORST)) ** np.float32(2 * FIT_POWER)
    weights = decided_weights(voxels, labels, doubt, most, views, weights)
    fused = fit(views, weights, colors, start, FIT_STEPS, lambda fraction: progress(0.5 + 0.3 * fraction))
    confidence = np.where(seen, squareness * (1 - 0.8 * local_doubt), 0)
    filled = fill_unseen(texels.positions, texels.normals, fused.reshape(-1, 3)[texels.place], seen, seed)
    progress(0.9)
    differences = np.column_stack(
        [alignment.before.ravel(), alignment.after.ravel(), np.zeros(alignment.after.size)]
    ).astype(np.float32)
    differences = cv2.resize(differences.reshape(*alignment.after.shape, 3), (size, size))
    maps = [to_image(texels, values) for values in (filled, confidence[:, None], 255 * seen[:, None])]
    base_color, confidence, coverage = (enlarged(image, size) for image in maps)
    on_surface = enlarged(texels.mask[..., None].astype(np.uint8), size)[..., 0] > 0
    base_color = equalise(base_color, on_surface, surface.faces, surface.corner_uvs)
    progress(1.0)
    return Texture(
        base_color, confidence, coverage, np.clip(differences, 0, 255).astype(np.uint8), float(seen.mean())
    )


def fitting_size(alignment: Alignment, size: int) -> int:
    """The atlas on which frames are fused: no more than about two texels per pixel of the frames, for more
    cannot be told apart."""
    steps = [np.sqrt(np.abs(np.linalg.det(view.spread[::97]))) for view in alignment.views if len(view)]
    texels = 2 / float(np.median(np.concatenate(steps))) if steps else size
    while size / 2 >= texels:
        size //= 2
    return size


def view_quality(
    voxels: Voxels, buffers: Sequence[GBuffer], edges: Sequence[np.ndarray], preference: np.ndarray, side: int
) -> np.ndarray:
    """(N, T) uint8, how well a view sees a voxel; 0 means that it does not."""
    quality = np.empty((len(buffers), len(voxels)), np.uint8)

    def one(view: int) -> None:
        cosine, edge = observe(voxels.positions, voxels.normals, buffers[view], edges[view], side)
        _rate(cosine, edge, 255 * preference[view], quality[view])

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, range(len(buffers))))
    return quality.T


@njit(cache=True, nogil=True)
def _rate(cosine, edge, best, quality):
    for k in range(len(cosine)):
        usable = cosine[k] >= FLATTEST and edge[k] >= 1
        quality[k] = np.ceil(best * np.sqrt(cosine[k]) * min(edge[k] / EDGE_PIXELS, 1.0)) if usable else 0


def enlarged(image: np.ndarray, size: int) -> np.ndarray:
    """(S, S, C) uint8: an atlas at a larger size."""
    if len(image) == size:
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC).reshape(size, size, -1)


def _start_at_labels(
    start, weight, texels: Texels, doubt, labels, surface, buffers, views, colors
) -> np.ndarray:
    """Contested texels start at their label's colour, for a few steps would not lead away from a blend of
    views that differ; so do texels that lie between the pixels of all views. The rest of the atlas repeats
    its nearest neighbour, as pixels at borders read some of it. Returns (N,) bool, whether a view sees the
    texel."""
    hit = weight > 0
    if hit.any():
        start[...] = start[hit][nearest(hit)]
    flat, weight = start.reshape(-1, 3), weight.ravel()[texels.place]
    chosen, read = color(
        texels, np.where((doubt > 0) | (weight == 0), labels, -1), surface, buffers, views, colors
    )
    share = (np.where(weight > 0, doubt, 1) * read)[:, None]
    flat[texels.place] = (1 - share) * flat[texels.place] + share * chosen
    return (weight > 0) | read
