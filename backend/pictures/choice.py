"""Which picture shows each place of the surface: the one that sees it best, with borders where they show
least (the bake's graph cut), a little blended."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix

from ..bake.bake import BakeConfig, view_quality
from ..bake.contrast_weights import contrast_weights
from ..bake.view_selection import select_views
from ..fuse.observations import PaintedViews
from ..mesh.voxels import Voxels
from ..render.sample import sample_bilinear
from .harmonize import Observed


@dataclass(frozen=True)
class ChoiceConfig:
    """How pictures are chosen."""

    # Trust in the further pictures, the lead's being 1: where both see a place alike it is the lead's.
    trust: float = 0.9
    # Times that the choice is averaged with that of neighbouring voxels: the width of the blend.
    smoothings: int = 3


def choose_pictures(
    pictures: Sequence[Observed],
    winding: np.ndarray,
    voxels: Voxels,
    config: ChoiceConfig = ChoiceConfig(),
) -> np.ndarray:
    """(N, P) float32: how much of the colour of each voxel is from each picture; they sum to 1, or to 0 where
    no picture shows the voxel.

    Args:
        pictures: brought together.
        winding: (F,) int8 of the faces.
        voxels: N voxels of the surface.
        config: of the choice.
    """
    trust = np.full(len(pictures), config.trust, np.float32)
    trust[0] = 1.0
    edges = [picture.edges() for picture in pictures]
    views = PaintedViews([picture.buffer for picture in pictures], edges, winding, trust)
    quality = view_quality(voxels, views)
    # Where a border shows: by what the pictures show, and by how much they differ.
    colors = np.stack([255 * _read(picture, voxels) for picture in pictures], axis=1)
    seen = (quality > 0)[..., None]
    count = np.maximum(seen.sum(axis=1), 1)
    mean = (colors * seen).sum(axis=1) / count
    difference = np.sqrt(
        (np.square(colors - mean[:, None]).sum(axis=2, keepdims=True) * seen).sum(axis=1) / count
    )
    weights = contrast_weights(voxels.edges, mean.astype(np.float32), difference[:, 0].astype(np.float32))
    labels = select_views(voxels, quality, BakeConfig().smoothness, weights)
    chosen = (labels[:, None] == np.arange(len(pictures))).astype(np.float32)
    return _smooth(chosen, quality > 0, voxels.edges, config.smoothings)


def _read(picture: Observed, voxels: Voxels) -> np.ndarray:
    """(N, 3) float32 sRGB 0..1: a picture where voxels appear in it, seen or hidden."""
    pixels, _ = picture.buffer.camera.project(voxels.positions.astype(np.float64))
    return sample_bilinear(picture.reference.color, pixels)


def _smooth(chosen: np.ndarray, seen: np.ndarray, edges: np.ndarray, rounds: int) -> np.ndarray:
    """Shares (N, P) averaged with those of neighbours, but none for a picture that does not see the voxel."""
    count = len(chosen)
    links = coo_matrix((np.ones(len(edges), np.float32), edges.T), shape=(count, count)).tocsr()
    links = links + links.T
    for _ in range(rounds):
        chosen = (chosen + links @ chosen) * seen
        chosen = chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1e-6)
    return chosen.astype(np.float32)
