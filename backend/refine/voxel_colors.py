"""The baked texture on the cells of a grid, as a voxel model reads it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from ..bake.bake import Texture
from ..mesh.surface import Surface, triangle_areas
from ..mesh.uvs import rasterize_atlas
from ..render.footprint import pyramid, sample
from .closest_points import closest_points
from .voxel_grid import VoxelGrid

DEFAULT_MATERIAL = (0.0, 0.6, 1.0)
"""Metallic, roughness and alpha of what was painted, of which the bake says nothing: as Blender shows it
without their maps."""

LARGEST = 4096
"""Atlas that is read: a cell of a 1024 grid is larger than its texels."""

POINTS = 1 << 17
"""That one core works on at once."""


@dataclass(frozen=True)
class VoxelColors:
    """What the baked texture says of N cells.

    Attributes:
        values: (N, 6) float32 0..1: base colour, sRGB-encoded, then metallic, roughness, alpha.
        confidence: (N,) float32 0..1.
        coverage: (N,) float32 0..1, how much of the cell's surface a view sees. Where none does, the colour
            is the bake's filling.
    """

    values: np.ndarray
    confidence: np.ndarray
    coverage: np.ndarray


def voxel_colors(surface: Surface, texture: Texture, grid: VoxelGrid) -> VoxelColors:
    """Reads the texture where the surface is nearest to each cell's centre, as a mean over about one cell of
    it."""
    size = min(len(texture.base_color), LARGEST)
    maps = np.concatenate([texture.base_color, texture.confidence, texture.coverage], axis=2)
    maps = cv2.resize(maps, (size, size), interpolation=cv2.INTER_AREA)
    mips = pyramid(maps, rasterize_atlas(surface.corner_uvs, size)[0] >= 0)
    face, barycentric = closest_points(grid, surface.vertices, surface.faces)
    span = texels_per_cell(surface, size, grid.resolution)
    result = np.empty((len(grid), 5), np.float32)

    def read(part: slice) -> None:
        weights = np.column_stack([barycentric[part], 1 - barycentric[part].sum(axis=1)])
        uvs = np.einsum("nc,ncx->nx", weights, surface.corner_uvs[face[part]])
        pixels = np.column_stack([uvs[:, 0], 1 - uvs[:, 1]]) * np.float32(size)
        result[part] = sample(
            mips, pixels, span[face[part], None, None] * np.image_encoder(2, dtype=np.float32)
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(read, [slice(start, start + POINTS) for start in range(0, len(grid), POINTS)]))
    colors, confidence, coverage = np.split(result / 255, [3, 4], axis=1)
    values = np.column_stack([colors, np.tile(np.float32(DEFAULT_MATERIAL), (len(grid), 1))])
    return VoxelColors(values, confidence[:, 0], coverage[:, 0])


def texels_per_cell(surface: Surface, size: int, resolution: int) -> np.ndarray:
    """(F,) float32: how many texels of an atlas of ``size`` squared lie along a cell's side, in each
    triangle."""
    across, along = (
        surface.corner_uvs[:, 1] - surface.corner_uvs[:, 0],
        surface.corner_uvs[:, 2] - surface.corner_uvs[:, 0],
    )
    area = 0.5 * np.abs(across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0])
    return (
        size / resolution * np.sqrt(area / np.maximum(triangle_areas(surface.vertices, surface.faces), 1e-30))
    ).astype(np.float32)
