"""From a texel per copy to one that all copies share: each texel takes the copy of which the reference shows
most, with soft borders between the copies.

Copies lie side by side in the atlas that is baked (:mod:`backend.mesh.copies`), so the texels of all copies
correspond one to one, and nothing is resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..api.job import MAPS
from ..mesh.copies import lay_upon_another, select_originals
from ..mesh.surface import Surface
from ..mesh.texels import nearest_in_mask
from ..mesh.tiles import cut_cells, join_tiles
from ..mesh.uvs import rasterize_atlas
from .bake import Texture
from .seams import equalise_seams


@dataclass(frozen=True)
class ShareConfig:
    """Which copy a texel takes."""

    source_values: tuple[float, float, float] = (1.0, 0.5, 0.1)
    """What a colour is worth that is from the picture, mirrored, or invented."""

    main_factor: float = 1.25
    """By how much more a texel of the copy counts that the reference shows most of, so that copies shown
    alike do not alternate."""

    value_sigma: float = 0.01
    """Standard deviation of the Gaussian that values are smoothed by, in widths of a tile."""

    border_sigma: float = 0.004
    """The same for the borders between copies."""


def share_texels(surface: Surface, texture: Texture, config: ShareConfig = ShareConfig()) -> Texture:
    """The texture on the UVs in which copies share their texels.

    Args:
        surface: the texture's, with a cell per copy.
        texture: with a cell per copy.
        config: which copy a texel takes.
    """
    shared, originals = lay_upon_another(surface), select_originals(surface)
    on_cells = cut_cells(rasterize_atlas(surface.corner_uvs, len(texture.base_color))[0] >= 0, surface.tiles)
    values = _rate_cells(texture, surface.tiles, config)
    groups = {
        tile: [cell for cell, number in enumerate(surface.tiles) if number == tile] for tile in shared.tiles
    }
    main = _find_main_layer(groups, values, on_cells)
    weights = {
        tile: _weigh_layers(
            [values[cell] for cell in cells], [on_cells[cell] for cell in cells], main, config
        )
        for tile, cells in groups.items()
    }
    on = join_tiles(
        {
            tile: np.any([on_cells[cell] for cell in cells], axis=0)[..., None]
            for tile, cells in groups.items()
        },
        shared.tiles,
    )[..., 0]
    nearest = nearest_in_mask(on)

    def share(name: str) -> np.ndarray | None:
        atlas = getattr(texture, name)
        if atlas is None:
            return None
        cells = cut_cells(atlas, surface.tiles)
        mixed = {tile: _mix(name, [cells[c] for c in group], weights[tile]) for tile, group in groups.items()}
        padded = join_tiles(mixed, shared.tiles)[on][nearest]
        if name in ("coverage", "disagreement", "color_source", "confidence"):
            return padded
        return equalise_seams(padded, on, originals.faces, originals.corner_uvs)

    maps = {name: share(name) for name in MAPS}
    return replace(texture, covered=float((maps["coverage"][on] > 0).mean()), **maps)


def _rate_cells(texture: Texture, tiles: Sequence[int], config: ShareConfig) -> list[np.ndarray]:
    """Per cell (s, s) float32 0..1, how much its colours are worth."""
    if texture.color_source is None:
        worth = texture.confidence[..., 0].astype(np.float32)
    else:
        worth = texture.color_source.astype(np.float32) @ np.float32(config.source_values)
    return cut_cells(np.where(texture.coverage[..., 0] > 0, worth, 0) / np.float32(255), tiles)


def _find_main_layer(
    groups: dict[int, list[int]], values: Sequence[np.ndarray], on_cells: Sequence[np.ndarray]
) -> int:
    """The layer whose texels are worth most together, of those that lie in several."""
    totals = np.zeros(max(map(len, groups.values())))
    for cells in groups.values():
        several = np.sum([on_cells[cell] for cell in cells], axis=0) > 1
        for layer, cell in enumerate(cells):
            totals[layer] += values[cell][several & on_cells[cell]].sum()
    return int(totals.argmax())


def _weigh_layers(
    values: Sequence[np.ndarray], on: Sequence[np.ndarray], main: int, config: ShareConfig
) -> list[np.ndarray]:
    """Per layer (s, s) float32 weight of its texels; they sum to 1 where one lies on the surface."""
    size = len(on[0])
    smooth = [
        np.where(mask, _blur(value, mask, config.value_sigma * size), -1)
        for value, mask in zip(values, on, strict=True)
    ]
    if main < len(smooth):
        smooth[main] = np.where(on[main], config.main_factor * smooth[main], -1)
    label = np.argmax(smooth, axis=0)
    chosen = [
        np.where(mask, _blur((label == layer).astype(np.float32), mask, config.border_sigma * size), 0)
        for layer, mask in enumerate(on)
    ]
    total = np.maximum(np.sum(chosen, axis=0), 1e-6)
    return [(weight / total).astype(np.float32) for weight in chosen]


def _blur(values: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Values (S, S) float32 smoothed within a mask (S, S) bool."""
    weight = mask.astype(np.float32)
    sums = cv2.GaussianBlur(np.dstack([values * weight, weight]), (0, 0), max(sigma, 0.5))
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-6)


def _mix(name: str, layers: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """(s, s, C) uint8 weighted mean of the layers' images; for the coverage, whether any copy is seen."""
    if name == "coverage":
        return np.max(
            [
                np.where(weight[..., None] > 0, image, 0)
                for image, weight in zip(layers, weights, strict=True)
            ],
            axis=0,
        )
    total = sum(weight[..., None] * image for image, weight in zip(layers, weights, strict=True))
    return np.round(total).astype(np.uint8)
