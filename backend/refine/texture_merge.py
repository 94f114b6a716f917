"""Merges a refinement into the baked texture without losing what the views saw.

A voxel model reads the baked colours and decodes them twice: unchanged (before), and refined (after).
Decoding alone blurs. Hence, where a view saw the surface, not the decoded colour but its change, after minus
before, is added to the texture: in full where the confidence is poor, not at all where it is good. Where no
view saw it, the decoded colour replaces the texture's, with a blend over a strip along the border of what was
seen. The weights are computed on cells, so they are as smooth as the cells, across UV seams too.

A refinement that changes nothing is the identity: before and after are equal, and the texture is returned as
it was, also where no view saw it and without maps of the material, since nothing was learnt of either.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..bake.bake import Texture
from ..bake.seams import equalise_seams
from ..mesh.surface import Surface
from ..mesh.texels import locate_texels
from ..mesh.uvs import rasterize_atlas
from ..mesh.voxels import face_neighbours
from .trilinear import interpolate_trilinear
from .voxel_colors import VoxelColors, texels_per_cell
from .voxel_grid import VoxelGrid


@dataclass(frozen=True)
class MergeConfig:
    """How a refinement is merged into the baked texture.

    Attributes:
        poor_confidence: confidence 0..1 up to which the whole change is added.
        good_confidence: confidence 0..1 from which none is added; a smooth ramp lies between.
        strip_width: of the blend from seen to unseen surface, in units of the mesh's longest side.
        clear_alpha: decoded alpha 0..1 below which a cell is see-through.
        clear_fraction: the material is see-through if at least this fraction of the seen cells is (of all
            cells if none was seen).
        texels_per_cell: texels along a cell's side that suffice to show what the cells hold; the atlas on
            which they are read is halved while it has as many or more.
    """

    poor_confidence: float = 0.2
    good_confidence: float = 0.6
    strip_width: float = 1 / 64
    clear_alpha: float = 0.5
    clear_fraction: float = 0.01
    texels_per_cell: float = 4


def merge_refinement(
    surface: Surface,
    texture: Texture,
    grid: VoxelGrid,
    colors: VoxelColors,
    before: np.ndarray,
    after: np.ndarray,
    config: MergeConfig = MergeConfig(),
) -> Texture:
    """The refined texture.

    Args:
        surface, texture: of the bake.
        grid: N cells of the surface's dual grid.
        colors: the texture on these cells.
        before, after: (N, 6) float32 0..1: base colour, sRGB-encoded, metallic, roughness and alpha as the
            model decodes them.
        config: tuned numbers.

    Returns:
        The texture with another base colour, and with metallic and roughness; with alpha only if the material
        is see-through.
    """
    if np.array_equal(before, after):
        return texture
    size = len(texture.base_color)
    texels = locate_texels(surface, _working_size(surface, size, grid.resolution, config.texels_per_cell))
    offset, replaced = _base_color_change(grid, colors, before, after, config)
    on_surface = rasterize_atlas(surface.corner_uvs, size)[0] >= 0

    def to_atlas(values: np.ndarray) -> np.ndarray:
        """(S, S, C) float32 atlas of cells' values (N, C)."""
        atlas = interpolate_trilinear(grid, values, texels.positions)[texels.nearest]
        return cv2.resize(atlas, (size, size), interpolation=cv2.INTER_LINEAR).reshape(size, size, -1)

    def material_map(channel: int) -> np.ndarray:
        values = to_atlas(255 * after[:, [channel]])
        return _to_bytes(equalise_seams(values, on_surface, surface.seam_faces, surface.corner_uvs))

    # Base colour c becomes c + offset - replaced * c.
    change, weight = to_atlas(offset), to_atlas(replaced[:, None])[..., 0]
    for channel in range(3):
        change[..., channel] -= weight * texture.base_color[..., channel]
    # The bake has made both sides of every seam match; the change has to match, too.
    change = equalise_seams(change, on_surface, surface.seam_faces, surface.corner_uvs)
    change += texture.base_color
    return replace(
        texture,
        base_color=_to_bytes(change),
        metallic=material_map(3),
        roughness=material_map(4),
        alpha=material_map(5) if _is_see_through(colors, after, config) else None,
    )


def _base_color_change(
    grid: VoxelGrid, colors: VoxelColors, before: np.ndarray, after: np.ndarray, config: MergeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """``offset`` (N, 3) float32 0..255 and ``replaced`` (N,): base colour c becomes ``c + offset - replaced *
    c``."""
    replaced = _smoothstep(_distance_from_seen(grid, colors.coverage > 0.5, config.strip_width))
    ramp = (colors.confidence - config.poor_confidence) / (config.good_confidence - config.poor_confidence)
    changed = (1 - replaced) * (1 - _smoothstep(ramp))
    offset = changed[:, None] * (after - before)[:, :3] + replaced[:, None] * after[:, :3]
    return 255 * offset, replaced


def _distance_from_seen(grid: VoxelGrid, seen: np.ndarray, strip_width: float) -> np.ndarray:
    """(N,) float32: steps from seen cells over shared sides, 0 there and 1 from the strip's end on."""
    steps = max(round(strip_width * grid.resolution), 1)
    distance, reached = np.where(seen, 0, steps).astype(np.float32), seen.copy()
    edges = face_neighbours(grid.cells, grid.resolution)
    for step in range(1, steps):
        ends_reached = reached[edges]
        border = edges[ends_reached[:, 0] != ends_reached[:, 1]].ravel()
        fresh = border[~reached[border]]
        distance[fresh], reached[fresh] = step, True
    return distance / np.float32(steps)


def _is_see_through(colors: VoxelColors, after: np.ndarray, config: MergeConfig) -> bool:
    seen = colors.coverage > 0.5
    alpha = after[seen, 5] if seen.any() else after[:, 5]
    return bool((alpha < config.clear_alpha).mean() >= config.clear_fraction)


def _working_size(surface: Surface, size: int, resolution: int, enough: float) -> int:
    """Size of the atlas on which cells are read: the texture's own, halved while a cell's side still has
    ``enough`` texels."""
    span = float(np.median(texels_per_cell(surface, size, resolution)))
    while span >= enough:
        size, span = size // 2, span / 2
    return size


def _smoothstep(t: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, smooth between."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(image, out=image), 0, 255, out=image).astype(np.uint8)
