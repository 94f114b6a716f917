"""The baked texture sampled on the cells of a voxel grid, as the model reads it."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..bake.bake import Texture
from ..mesh.surface import Surface, triangle_areas
from ..mesh.uvs import rasterize_atlas
from ..parallel import map_ranges
from ..render.footprint import build_mipmap, sample_footprints
from .closest_points import closest_points
from .voxel_grid import VoxelGrid

DEFAULT_MATERIAL = (0.0, 0.6, 1.0)
"""Metallic, roughness and alpha of the baked texture, which has no maps of them: close to how Blender shows a
material without such maps."""

MAX_READ_SIZE = 4096
"""Larger atlases are shrunk to this before they are read: a cell of a 1024 grid is larger than its texels."""

CELLS_PER_CHUNK = 1 << 17
"""Cells that one core works on at a time."""


@dataclass(frozen=True)
class VoxelColors:
    """The baked texture on N cells.

    Attributes:
        values: (N, 6) float32 0..1: base colour, sRGB-encoded, then metallic, roughness, alpha.
        confidence: (N,) float32 0..1.
        coverage: (N,) float32 0..1, fraction of the cell's surface that a view sees. Where it is 0, the
            colour is the bake's fill.
    """

    values: np.ndarray
    confidence: np.ndarray
    coverage: np.ndarray


def voxel_colors(surface: Surface, texture: Texture, grid: VoxelGrid) -> VoxelColors:
    """Reads the texture at the point of the surface closest to each cell's centre, as a mean over about one
    cell."""
    size = min(len(texture.base_color), MAX_READ_SIZE)
    maps = np.concatenate([texture.base_color, texture.confidence, texture.coverage], axis=2)
    maps = cv2.resize(maps, (size, size), interpolation=cv2.INTER_AREA)
    mips = build_mipmap(maps, rasterize_atlas(surface.corner_uvs, size)[0] >= 0)
    face, barycentric = closest_points(grid, surface.vertices, surface.faces)
    span = texels_per_cell(surface, size, grid.resolution)
    result = np.empty((len(grid), 5), np.float32)

    def read_range(first: int, end: int) -> None:
        cells = slice(first, end)
        weights = np.column_stack([barycentric[cells], 1 - barycentric[cells].sum(axis=1)])
        uvs = np.einsum("nc,ncx->nx", weights, surface.corner_uvs[face[cells]])
        pixels = np.column_stack([uvs[:, 0], 1 - uvs[:, 1]]) * np.float32(size)
        # A square patch, one cell wide.
        jacobians = span[face[cells], None, None] * np.eye(2, dtype=np.float32)
        result[cells] = sample_footprints(mips, pixels, jacobians)

    map_ranges(read_range, len(grid), CELLS_PER_CHUNK)
    colors, confidence, coverage = np.split(result / 255, [3, 4], axis=1)
    values = np.column_stack([colors, np.tile(np.float32(DEFAULT_MATERIAL), (len(grid), 1))])
    return VoxelColors(values, confidence[:, 0], coverage[:, 0])


def texels_per_cell(surface: Surface, size: int, resolution: int) -> np.ndarray:
    """(F,) float32: number of texels of an atlas of ``size`` squared along a cell's side, in each
    triangle."""
    across = surface.corner_uvs[:, 1] - surface.corner_uvs[:, 0]
    along = surface.corner_uvs[:, 2] - surface.corner_uvs[:, 0]
    uv_area = 0.5 * np.abs(across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0])
    area = np.maximum(triangle_areas(surface.vertices, surface.faces), 1e-30)
    return (size / resolution * np.sqrt(uv_area / area)).astype(np.float32)
