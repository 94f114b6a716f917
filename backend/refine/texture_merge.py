"""What a refinement changed, brought back onto the texture without losing what the views saw.

A voxel model reads the baked colours and decodes them twice: as they are (before), and refined (after).
Decoding alone blurs, so on what the views saw not the decoded colour but its change, after minus before, is
added to the texture: in full where they saw it badly, not at all where they saw it well. What no view saw
takes the decoded colour itself; it comes in over a strip along what was seen, where the texture passes from
the one to the other. All of this is worked out on cells, so it is as smooth as they are, across UV seams too.

A refinement that changes nothing is the identity: before and after are equal, and the texture comes back as
it is, also where no view saw it, and without maps of the material, for nothing was learnt of either.
"""

from dataclasses import replace

import cv2
import numpy as np

from ..bake.bake import Texture
from ..bake.seams import equalise
from ..bake.texels import locate
from ..mesh.surface import Surface
from ..mesh.uvs import rasterize_atlas
from ..mesh.voxels import side_neighbours
from .trilinear import interpolate_trilinear
from .voxel_colors import VoxelColors, texels_per_cell
from .voxel_grid import VoxelGrid

POOR, GOOD = 0.2, 0.6
"""Confidence up to which the whole change is added, and from which on nothing is; a smooth ramp between."""

STRIP = 1 / 64
"""Width of the strip in which unseen surface passes to the decoded colour, in units of the mesh's longest
side."""

CLEAR, CLEAR_SHARE = 0.5, 0.01
"""The material is see-through if the refined alpha is below the first on at least the second of what was
seen; of all, if nothing was."""

FINE = 4
"""Texels along a cell's side that are more than enough to hold what cells say."""


def merge_refinement(
    surface: Surface,
    texture: Texture,
    grid: VoxelGrid,
    colors: VoxelColors,
    before: np.ndarray,
    after: np.ndarray,
) -> Texture:
    """The refined texture.

    Args:
        surface, texture: of the bake.
        grid: N cells of the surface's dual grid.
        colors: what the texture says of them.
        before, after: (N, 6) float32 0..1: base colour, sRGB-encoded, metallic, roughness and alpha as the
            model decodes them.

    Returns:
        The texture with another base colour, and with metallic and roughness; with alpha only if the material
        is see-through.
    """
    if np.array_equal(before, after):
        return texture
    size = len(texture.base_color)
    small = _working_size(surface, size, grid.resolution)
    texels = locate(surface, small)
    added, replaced = _shares(grid, colors, before, after)
    see_through = _see_through(colors, after)
    on_surface = rasterize_atlas(surface.corner_uvs, size)[0] >= 0

    def image(values: np.ndarray) -> np.ndarray:
        """(S, S, C) float32 atlas of cells' values (N, C)."""
        atlas = interpolate_trilinear(grid, values, texels.positions)[texels.nearest]
        return cv2.resize(atlas, (size, size), interpolation=cv2.INTER_LINEAR).reshape(size, size, -1)

    def material_map(channel: int) -> np.ndarray:
        return _bytes(
            equalise(image(255 * after[:, [channel]]), on_surface, surface.faces, surface.corner_uvs)
        )

    change, share = image(added), image(replaced[:, None])[..., 0]
    for channel in range(3):
        change[..., channel] -= share * texture.base_color[..., channel]
    # The bake has made both sides of every seam match; the change has to match, too.
    change = equalise(change, on_surface, surface.faces, surface.corner_uvs)
    change += texture.base_color
    return replace(
        texture,
        base_color=_bytes(change),
        metallic=material_map(3),
        roughness=material_map(4),
        alpha=material_map(5) if see_through else None,
    )


def _shares(
    grid: VoxelGrid, colors: VoxelColors, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a texel of base colour c becomes is ``c + added - replaced * c``, with ``added`` (N, 3) float32
    0..255 and ``replaced`` (N,)."""
    replaced = _smooth(_depth(grid, colors.coverage > 0.5))
    taken = (1 - replaced) * (1 - _smooth((colors.confidence - POOR) / (GOOD - POOR)))
    added = taken[:, None] * (after - before)[:, :3] + replaced[:, None] * after[:, :3]
    return 255 * added, replaced


def _depth(grid: VoxelGrid, seen: np.ndarray) -> np.ndarray:
    """(N,) float32: steps from what was seen over sides of cells, 0 there and 1 from the strip's end on."""
    steps = max(round(STRIP * grid.resolution), 1)
    depth, reached = np.where(seen, 0, steps).astype(np.float32), seen.copy()
    edges = side_neighbours(grid.cells, grid.resolution)
    for step in range(1, steps):
        leaves = reached[edges]
        leaving = edges[leaves[:, 0] != leaves[:, 1]].ravel()
        fresh = leaving[~reached[leaving]]
        depth[fresh], reached[fresh] = step, True
    return depth / np.float32(steps)


def _see_through(colors: VoxelColors, after: np.ndarray) -> bool:
    seen = colors.coverage > 0.5
    judged = after[seen, 5] if seen.any() else after[:, 5]
    return bool((judged < CLEAR).mean() >= CLEAR_SHARE)


def _working_size(surface: Surface, size: int, resolution: int) -> int:
    """The atlas on which cells are read, the texture's own size or a half, a quarter … of it."""
    span = float(np.median(texels_per_cell(surface, size, resolution)))
    while span >= FINE:
        size, span = size // 2, span / 2
    return size


def _smooth(t: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, smooth between."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(image, out=image), 0, 255, out=image).astype(np.uint8)
