"""The bake stage: aligned frames become a texture.

Where views agree, the texture is what re-renders them all; where they do not, the view that the graph cut
selected decides (docs/baking.md#where-views-agree-fuse-where-they-do-not-let-one-decide).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from ..align.align import Alignment
from ..fuse.observations import MIN_COSINE, PaintedViews
from ..fuse.solve import blend, fit_texture
from ..mesh.surface import Surface
from ..mesh.texels import Texels, locate_texels, nearest_in_mask, to_atlas
from ..mesh.voxels import Voxels, interpolate, voxelize
from ..parallel import map_parallel
from ..render.visibility import observe
from .agreement import disagreement_weights, downweight_other_views, match_low_band, voxel_statistics
from .contrast_weights import contrast_weights
from .fill import fill_unseen
from .seams import equalise_seams
from .texel_colors import color_from_views
from .view_selection import MAX_QUALITY, select_views

LABEL_EDGE_PIXELS = 4.0
"""A view may be selected, fully trusted, this many pixels away from a silhouette or depth edge."""


@dataclass(frozen=True)
class BakeConfig:
    """What the bake is tuned by; measured by ``benchmarks/bake.py``."""

    smoothness: float = 0.7
    """Cost of a border between two views, per face between voxels, against a data cost of 0 to 1 per
    voxel."""

    blend_power: float = 6.0
    """Power of the cosine in the weights of a blend, which must not blur."""

    fit_power: float = 2.0
    """Power of the cosine in the weights of the fit, which needs all the views it can get."""

    trust_power: float = 4.0
    """Power of a view's preference in the weights: many views of little trust must not outvote a trusted
    one."""

    fit_steps: int = 3
    """Conjugate gradient steps of the fit: more bring little but noise."""

    texels_per_pixel: float = 2.0
    """Texels per pixel of the frames at most: more cannot be told apart."""

    doubt_penalty: float = 0.8
    """Fraction of the confidence that a texel loses where views disagree entirely."""


@dataclass(frozen=True)
class Texture:
    """What the bake makes, and a refinement adds to.

    Attributes:
        base_color: (S, S, 3) uint8 sRGB, row 0 at the top, padded beyond the islands.
        confidence: (S, S, 1) uint8 linear: how squarely the texel's views see it and how well they agree, 0
            where no view sees it.
        coverage: (S, S, 1) uint8, 255 where a view sees the texel, else 0.
        disagreement: (S, S, 3) uint8: root mean square difference between frames, 0..255, before alignment in
            red, after it in green.
        covered: fraction of the texels that a view sees.
        metallic, roughness, alpha: (S, S, 1) uint8 linear of the material, padded likewise; None without a
            refinement, alpha also if the surface is opaque.
        color_source: (S, S, 3) uint8: how much of each colour is from the picture, mirrored, and invented;
            None if the painter cannot tell.
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
    color_source: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def empty_texture(size: int) -> Texture:
    """A texture of size x size texels that no view has seen: grey, without confidence."""
    nothing = np.zeros((size, size, 1), np.uint8)
    return Texture(
        np.full((size, size, 3), 128, np.uint8), nothing, nothing, np.zeros((size, size, 3), np.uint8), 0.0
    )


def bake(
    surface: Surface,
    painted: PaintedViews,
    alignment: Alignment,
    size: int,
    voxel_resolution: int,
    seed: int,
    progress: Callable[[float], None],
    config: BakeConfig = BakeConfig(),
) -> Texture:
    """Fuses aligned frames into a texture.

    Args:
        surface: with UVs.
        painted: the views.
        alignment: the frames.
        size: width and height of the texture.
        voxel_resolution: cells along the grid on which views are selected.
        seed: of the random exemplars that unseen texels are filled from.
        progress: called with the fraction done.
        config: weights and costs.
    """
    # Consensus: a blend of all views, whose tone every view takes.
    views, small = alignment.views, fusion_size(alignment, size, config.texels_per_pixel)
    trust = painted.preference**config.trust_power
    weights = [factor * view.weights(config.blend_power) for factor, view in zip(trust, views, strict=True)]
    consensus, _ = blend(views, weights, alignment.colors, small)
    shapes = [buffer.face.shape for buffer in painted.buffers]
    colors = match_low_band(views, alignment.colors, consensus, shapes)
    progress(0.1)
    # View selection: how well each view sees each voxel, and where a border between views shows least.
    voxels = voxelize(surface, voxel_resolution)
    mean, difference = voxel_statistics(voxels, views, weights, colors, consensus)
    sight = view_quality(voxels, painted)
    progress(0.25)
    labels = select_views(voxels, sight, config.smoothness, contrast_weights(voxels.edges, mean, difference))
    doubt = disagreement_weights(voxels, difference)
    progress(0.45)
    # Start of the fit: the blend, and the selected view's colours where views disagree.
    texels = locate_texels(surface, small)
    start, weight = blend(views, weights, colors, small)
    local_doubt, squareness = interpolate(
        voxels, np.column_stack([doubt, sight.max(axis=1)]), texels.positions
    ).T
    index = voxels.index_of(texels.positions)
    wanted = np.where(index >= 0, labels[index], -1)
    seen = _start_at_labels(
        start,
        weight,
        texels,
        doubt=local_doubt,
        labels=wanted,
        surface=surface,
        buffers=painted.buffers,
        views=views,
        colors=colors,
    )
    # Fit: the texture that re-renders the views, each weighted by whether it was selected where they
    # disagree. A quality is the root of a cosine.
    weights = [factor * view.weights(config.fit_power) for factor, view in zip(trust, views, strict=True)]
    most = (sight.max(axis=1) / np.float32(MAX_QUALITY)) ** np.float32(2 * config.fit_power)
    weights = downweight_other_views(voxels, labels, doubt, most, views, weights)
    fused = fit_texture(
        views, weights, colors, start, config.fit_steps, lambda fraction: progress(0.5 + 0.3 * fraction)
    )
    # Texels that no view sees are filled.
    confidence = np.where(seen, squareness * (1 - config.doubt_penalty * local_doubt), 0)
    filled = fill_unseen(texels.positions, texels.normals, fused.reshape(-1, 3)[texels.place], seen, seed)
    progress(0.9)
    texture = _make_texture(surface, alignment, texels, filled, confidence, seen, size)
    progress(1.0)
    return texture


def _make_texture(
    surface: Surface,
    alignment: Alignment,
    texels: Texels,
    colors: np.ndarray,
    confidence: np.ndarray,
    seen: np.ndarray,
    size: int,
) -> Texture:
    """The images of a texture from colours (N, 3), confidence (N,) and whether a view sees it (N,) of each
    texel."""
    differences = np.column_stack(
        [alignment.before.ravel(), alignment.after.ravel(), np.zeros(alignment.after.size)]
    ).astype(np.float32)
    differences = cv2.resize(differences.reshape(*alignment.after.shape, 3), (size, size))
    base_color, confidence, coverage = (
        upscale(to_atlas(texels, values), size)
        for values in (colors, confidence[:, None], 255 * seen[:, None])
    )
    on_surface = upscale(texels.mask[..., None].astype(np.uint8), size)[..., 0] > 0
    return Texture(
        base_color=equalise_seams(base_color, on_surface, surface.seam_faces, surface.corner_uvs),
        confidence=confidence,
        coverage=coverage,
        disagreement=np.clip(differences, 0, 255).astype(np.uint8),
        covered=float(seen.mean()),
    )


def fusion_size(alignment: Alignment, size: int, texels_per_pixel: float) -> int:
    """Texels along the atlas on which frames are fused: ``size``, halved while it is more than about
    ``texels_per_pixel`` of the frames."""
    steps = [np.sqrt(np.abs(np.linalg.det(view.jacobian[::97]))) for view in alignment.views if len(view)]
    texels = texels_per_pixel / float(np.median(np.concatenate(steps))) if steps else size
    while size / 2 >= texels:
        size //= 2
    return size


def view_quality(voxels: Voxels, painted: PaintedViews) -> np.ndarray:
    """(N, T) uint8, how well a view sees a voxel; 0 means that it does not."""
    buffers, edges = painted.buffers, painted.edges
    winding = painted.winding[voxels.face]
    quality = np.empty((len(buffers), len(voxels)), np.uint8)

    def rate_view(view: int) -> None:
        cosine, edge = observe(voxels.positions, voxels.normals, buffers[view], edges[view], winding)
        _rate(cosine, edge, 255 * painted.preference[view], quality[view])

    map_parallel(rate_view, range(len(buffers)))
    return quality.T


@njit(cache=True, nogil=True)
def _rate(cosine, edge, best, quality):
    """Writes to ``quality`` (N,) uint8 the root of the cosine, less near edges, at most ``best``."""
    for k in range(len(cosine)):
        usable = cosine[k] >= MIN_COSINE and edge[k] >= 1
        quality[k] = (
            np.ceil(best * np.sqrt(cosine[k]) * min(edge[k] / LABEL_EDGE_PIXELS, 1.0)) if usable else 0
        )


def upscale(image: np.ndarray, size: int) -> np.ndarray:
    """(size, size, C) uint8: an atlas (S, S, C) at a larger size."""
    if len(image) == size:
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC).reshape(size, size, -1)


def _start_at_labels(
    start, weight, texels: Texels, doubt, labels, surface, buffers, views, colors
) -> np.ndarray:
    """Sets the atlas ``start`` (S, S, 3) that the fit starts from. Returns (N,) bool, whether a view sees the
    texel.

    Contested texels start at their label's colour, because a few steps would not lead away from a blend of
    views that differ; so do texels that lie between the pixels of all views. The rest of the atlas repeats
    its nearest neighbour, because pixels at borders read some of it.
    """
    hit = weight > 0
    if hit.any():
        start[...] = start[hit][nearest_in_mask(hit)]
    flat, weight = start.reshape(-1, 3), weight.ravel()[texels.place]
    chosen, read = color_from_views(
        texels, np.where((doubt > 0) | (weight == 0), labels, -1), surface, buffers, views, colors
    )
    mix = (np.where(weight > 0, doubt, 1) * read)[:, None]
    flat[texels.place] = (1 - mix) * flat[texels.place] + mix * chosen
    return (weight > 0) | read
