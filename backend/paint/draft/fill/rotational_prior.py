"""Colours that bands around the main axis foretell: a ring that is blue wherever it is seen is blue behind,
too."""

import numpy as np
from scipy.spatial import cKDTree

from .orientation_field import around

COUNT = 32
"""Known places that a hidden one is compared with."""


def expect(
    axis: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    colors: np.ndarray,
    known: np.ndarray,
    free: np.ndarray,
    spacing: float,
    variance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """What known samples at the same height, slope and distance from the axis say of free ones.

    Args:
        axis: (3,) unit.
        points, normals: (N, 3) float32.
        colors: (N, 3) float32.
        known, free: (K,) and (M,) int64 indices.
        spacing: of the samples.
        variance: of the known colours.

    Returns:
        (M, 3) float32 colours, and (M,) float32 0..1 how sure they are: they agree among themselves, and come
        from all around.
    """
    feature = around(axis, points, normals)
    distance, near = cKDTree(feature[known]).query(feature[free], k=min(COUNT, len(known)), workers=-1)
    near = known[near.reshape(len(free), -1)]
    weight = np.exp(-np.square(distance.reshape(near.shape) / (1.5 * spacing))) + 1e-6
    weight /= weight.sum(axis=1, keepdims=True)
    mean = np.einsum("nk,nkc->nc", weight, colors[near])
    scatter = np.einsum("nk,nkc->n", weight, np.square(colors[near] - mean[:, None]))
    side = points - (points @ axis)[:, None] * axis
    middle = np.einsum("nk,nkx->nx", weight, side[near])
    width = np.sqrt(np.einsum("nk,nkx->n", weight, np.square(side[near] - middle[:, None])))
    agree = np.square(np.clip(1 - 5 * scatter / variance, 0, 1))
    sure = (
        agree
        * np.clip(width / 0.06 - 0.5, 0, 1)
        * np.clip(3 - distance.reshape(near.shape)[:, 0] / spacing, 0, 1)
    )
    return mean.astype(np.float32), sure.astype(np.float32)
