"""Where aligned frames agree, and what happens where they do not: there one view decides, chosen by the graph
cut."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numba import njit

from ..fuse.observations import View
from ..fuse.solve import render_back
from ..mesh.voxels import Voxels, interpolate

AGREED, CONTESTED = 12.0, 30.0
"""Root mean square difference between frames, 0..255: below the first all views count, above the second only
the label's."""

MUCH_LESS = 0.4
"""A pixel that counts this much less than the best of its place is left out of the fit: it adds time, not
detail (by measurement)."""

BAND = 12.0
"""Pixels: differences between frames that are smoother than this are tone, and are blended; the rest is
detail, and is chosen."""


SMALLER = 4
"""How many times coarser than the frames the low band is worked out."""


def share_low_band(
    views: Sequence[View],
    colors: Sequence[np.ndarray],
    consensus: np.ndarray,
    shapes: Sequence[tuple[int, int]],
) -> list[np.ndarray]:
    """Colours whose low band is the consensus's, so that a border between labels shows no step in tone
    (two-band blending, after Burt and Adelson 1983), while no detail moves.

    Args:
        views: what each view sees.
        colors: per view (N, 3) float32 sRGB 0..255.
        consensus: (S, S, 3) float32.
        shapes: per view height and width.
    """

    def one(view: View, color: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        error = np.zeros((shape[0] * shape[1], 4), np.float32)
        error[view.pixels, :3] = color - render_back(view, consensus)
        error[view.pixels, 3] = 1
        small = cv2.resize(
            error.reshape(*shape, 4), None, fx=1 / SMALLER, fy=1 / SMALLER, interpolation=cv2.INTER_AREA
        )
        small = cv2.GaussianBlur(small, (0, 0), BAND / SMALLER)
        low = cv2.resize(
            small[..., :3] / np.maximum(small[..., 3:], 1e-3), shape[::-1], interpolation=cv2.INTER_LINEAR
        )
        return color - low.reshape(-1, 3)[view.pixels]

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, views, colors, shapes))


def voxel_statistics(
    voxels: Voxels,
    views: Sequence[View],
    weights: Sequence[np.ndarray],
    colors: Sequence[np.ndarray],
    consensus: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """``(mean (N, 3), spread (N,))`` float32 of what the frames show of each voxel: sRGB 0..255, and root
    mean square difference to the consensus (S, S, 3) at the very place of each pixel."""

    def one(view: View, color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return voxels.index_of(view.points), np.square(color - render_back(view, consensus)).mean(axis=1)

    total = np.zeros((len(voxels), 5))
    with ThreadPoolExecutor() as pool:
        for weight, color, (index, square) in zip(weights, colors, pool.map(one, views, colors), strict=True):
            _add(index, weight, color, square, total)
    mean = total[:, 1:] / np.maximum(total[:, :1], 1e-9)
    return mean[:, :3].astype(np.float32), np.sqrt(mean[:, 3]).astype(np.float32)


@njit(cache=True, nogil=True)
def _add(index, weight, color, square, total):
    for k in range(index.shape[0]):
        if index[k] >= 0:
            row = total[index[k]]
            row[0] += weight[k]
            for channel in range(3):
                row[1 + channel] += weight[k] * color[k, channel]
            row[4] += weight[k] * square[k]


def contested(voxels: Voxels, spread: np.ndarray) -> np.ndarray:
    """(N,) float32 0..1 how much the label decides at a voxel, from the spread (N,), smooth over
    neighbours."""
    a, b = voxels.edges.T
    degree = 1 + np.bincount(voxels.edges.ravel(), minlength=len(voxels))
    for _ in range(3):
        spread = (
            spread + np.bincount(a, spread[b], len(voxels)) + np.bincount(b, spread[a], len(voxels))
        ) / degree
    t = np.clip((spread - AGREED) / (CONTESTED - AGREED), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def decided_weights(
    voxels: Voxels,
    labels: np.ndarray,
    doubt: np.ndarray,
    most: np.ndarray,
    views: Sequence[View],
    weights: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Per view (N,) float32: the weights, less by the doubt wherever another view is the label, and 0 where
    another sees much better.

    Args:
        voxels: the surface.
        labels: (V,) view of each voxel.
        doubt: (V,) float32 0..1, see :func:`contested`.
        most: (V,) float32, the weight of the view that sees each voxel best.
        views: what each view sees.
        weights: per view (N,) float32.
    """

    def one(index: int) -> np.ndarray:
        points = views[index].points
        voxel = voxels.index_of(points)
        decided = np.where((voxel >= 0) & (weights[index] < MUCH_LESS * most[voxel]), 0, weights[index])
        some = np.flatnonzero((decided > 0) & (voxel >= 0) & (doubt[voxel] > 0))
        values = np.column_stack([doubt, labels == index]).astype(np.float32)
        local, own = interpolate(voxels, values, points[some]).T
        decided[some] *= 1 - local * (1 - own)
        return decided

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, range(len(views))))
