"""Where aligned frames agree, and the weights of views where they do not: there the view that the graph cut
selected decides."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from ..fuse.observations import View
from ..fuse.solve import render_back
from ..mesh.voxels import Voxels, interpolate
from ..parallel import iterate_parallel, map_parallel


@dataclass(frozen=True)
class AgreementConfig:
    """How far views are blended, and where one of them decides."""

    agreed: float = 12.0
    """Root mean square difference between frames, 0..255, below which all views count."""

    contested: float = 30.0
    """The same, above which only the selected view counts."""

    smoothings: int = 3
    """Times that each voxel's difference is averaged with its neighbours'."""

    min_relative_weight: float = 0.4
    """A pixel whose weight is below this fraction of the best view's at its place is left out of the fit: by
    measurement it adds time, not detail."""

    band: float = 12.0
    """Sigma in pixels: differences between frames that are smoother are tone, and are blended; the rest is
    detail, and is selected."""

    band_stride: int = 4
    """Pixels of a frame per pixel of the low band."""


def match_low_band(
    views: Sequence[View],
    colors: Sequence[np.ndarray],
    consensus: np.ndarray,
    shapes: Sequence[tuple[int, int]],
    config: AgreementConfig = AgreementConfig(),
) -> list[np.ndarray]:
    """Colours whose low band is the consensus's, so that a border between labels shows no step in tone
    (two-band blending, after Burt and Adelson 1983), while no detail changes.

    Args:
        views: what each view sees.
        colors: per view (N, 3) float32 sRGB 0..255.
        consensus: (S, S, 3) float32.
        shapes: per view height and width.
        config: the band.
    """
    stride = config.band_stride

    def match_view(view: View, color: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        # The difference to the consensus with a mask beside it, blurred over the mask only.
        error = np.zeros((shape[0] * shape[1], 4), np.float32)
        error[view.pixels, :3] = color - render_back(view, consensus)
        error[view.pixels, 3] = 1
        small = cv2.resize(
            error.reshape(*shape, 4), None, fx=1 / stride, fy=1 / stride, interpolation=cv2.INTER_AREA
        )
        small = cv2.GaussianBlur(small, (0, 0), config.band / stride)
        # Back at the frame's size, it is taken off the pixels.
        low = cv2.resize(
            small[..., :3] / np.maximum(small[..., 3:], 1e-3), shape[::-1], interpolation=cv2.INTER_LINEAR
        )
        return color - low.reshape(-1, 3)[view.pixels]

    return map_parallel(match_view, views, colors, shapes)


def voxel_statistics(
    voxels: Voxels,
    views: Sequence[View],
    weights: Sequence[np.ndarray],
    colors: Sequence[np.ndarray],
    consensus: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """``(mean (N, 3), difference (N,))`` float32 of what the frames show of each voxel: sRGB 0..255, and the
    root mean square difference between pixels and the consensus (S, S, 3) at the place that each pixel
    reads."""

    def locate_view(view: View, color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return voxels.index_of(view.points), np.square(color - render_back(view, consensus)).mean(axis=1)

    total = np.zeros((len(voxels), 5))
    located = iterate_parallel(locate_view, views, colors)
    for weight, color, (index, square) in zip(weights, colors, located, strict=True):
        _add(index, weight, color, square, total)
    mean = total[:, 1:] / np.maximum(total[:, :1], 1e-9)
    return mean[:, :3].astype(np.float32), np.sqrt(mean[:, 3]).astype(np.float32)


@njit(cache=True, nogil=True)
def _add(index, weight, color, square, total):
    """Adds weight, weighted colour and weighted square of pixels to the row of their voxel (N, 5)."""
    for k in range(index.shape[0]):
        if index[k] >= 0:
            row = total[index[k]]
            row[0] += weight[k]
            for channel in range(3):
                row[1 + channel] += weight[k] * color[k, channel]
            row[4] += weight[k] * square[k]


def disagreement_weights(
    voxels: Voxels, difference: np.ndarray, config: AgreementConfig = AgreementConfig()
) -> np.ndarray:
    """(N,) float32 0..1, how much the selected view decides at a voxel, from the difference (N,) between
    frames, smooth over neighbours."""
    a, b = voxels.edges.T
    degree = 1 + np.bincount(voxels.edges.ravel(), minlength=len(voxels))
    for _ in range(config.smoothings):
        before, after = np.bincount(a, difference[b], len(voxels)), np.bincount(b, difference[a], len(voxels))
        difference = (difference + before + after) / degree
    t = np.clip((difference - config.agreed) / (config.contested - config.agreed), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def downweight_other_views(
    voxels: Voxels,
    labels: np.ndarray,
    doubt: np.ndarray,
    most: np.ndarray,
    views: Sequence[View],
    weights: Sequence[np.ndarray],
    config: AgreementConfig = AgreementConfig(),
) -> list[np.ndarray]:
    """Per view (N,) float32: the weights, lowered by the doubt wherever another view is the label, and 0
    where another view sees the place much better.

    Args:
        voxels: the surface.
        labels: (V,) view of each voxel.
        doubt: (V,) float32 0..1, see :func:`disagreement_weights`.
        most: (V,) float32, the weight of the view that sees each voxel best.
        views: what each view sees.
        weights: per view (N,) float32.
        config: what counts as much better.
    """

    def downweight_view(index: int) -> np.ndarray:
        # Pixels that another view outweighs by far are left out.
        points = views[index].points
        voxel = voxels.index_of(points)
        negligible = (voxel >= 0) & (weights[index] < config.min_relative_weight * most[voxel])
        decided = np.where(negligible, 0, weights[index])
        # Doubt and the label's border are read between voxels, only where there is doubt.
        some = np.flatnonzero((decided > 0) & (voxel >= 0) & (doubt[voxel] > 0))
        values = np.column_stack([doubt, labels == index]).astype(np.float32)
        local, own = interpolate(voxels, values, points[some]).T
        decided[some] *= 1 - local * (1 - own)
        return decided

    return map_parallel(downweight_view, range(len(views)))
