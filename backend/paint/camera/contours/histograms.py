"""Colour histograms of the object and of what surrounds it (PWP3D, Prisacariu and Reid 2012)."""

import cv2
import numpy as np
from scipy import ndimage

from .features import COLOR_BINS

SURROUNDINGS = 0.35
"""How far around a silhouette colours count as its surroundings, as a fraction of the root of its area."""


def color_histograms(mask: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours of a silhouette and of what surrounds it.

    Args:
        mask: (H, W) bool.
        bins: (H, W) int32, see :class:`.features.Observation`.

    Returns:
        (COLOR_BINS ** 3,) float32 each; each sums to 1, or is 0 where there are no pixels.
    """
    reach = max(3, int(SURROUNDINGS * np.sqrt(mask.sum())))
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    around = ~mask & (distance < reach)
    return tuple(color_histogram(bins[part]) for part in (mask, around))


def color_histogram(bins: np.ndarray) -> np.ndarray:
    """(COLOR_BINS ** 3,) float32 of some pixels' bins (N,) int32; sums to 1, or is 0 where there are none."""
    return smooth_histogram(np.bincount(bins, minlength=COLOR_BINS**3).astype(np.float32))


def histogram_distance(first: np.ndarray, second: np.ndarray) -> float:
    """0 for equal histograms, 1 for those without a common colour."""
    return 1 - float(np.minimum(first, second).sum())


def smooth_histogram(counts: np.ndarray) -> np.ndarray:
    """The histogram spread over neighbouring bins, as a distribution."""
    cube = counts.reshape(COLOR_BINS, COLOR_BINS, COLOR_BINS)
    for axis in range(3):
        cube = ndimage.convolve1d(cube, [0.25, 0.5, 0.25], axis, mode="nearest")
    return cube.ravel() / max(float(cube.sum()), 1e-9)
