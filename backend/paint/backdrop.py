"""A smooth backdrop behind the object: its colour at every pixel, and the soft shadows that the object casts
on it."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class BackdropConfig:
    """How a smooth backdrop is fitted to the image's border."""

    # CIE Lab distance from the quadratic within which 98 % of a smooth backdrop's border pixels stay.
    max_noise: float = 4.0
    # Smallest fraction of the border that has to show the backdrop; the object may be cut off by the rest.
    min_border_fraction: float = 0.55
    # Random subsets that are tried: with half of the border free to be anything, some are of backdrop alone.
    trials: int = 80
    # Border pixels per subset; six would determine the quadratic.
    pixels_per_trial: int = 14
    # Border pixels on which the median error of each trial is measured.
    scored_pixels: int = 1000
    # Least-squares fits to the inliers, after the trials.
    refinements: int = 3


@dataclass(frozen=True)
class SoftShadowConfig:
    """What counts as the backdrop in soft shadow."""

    # Smallest fraction of the backdrop's brightness (sRGB-encoded) that a soft shadow leaves.
    min_brightness: float = 0.2
    # Largest difference between the channels' darkening at which the pixel still has the backdrop's chroma.
    max_tint: float = 0.04
    # CIE Lab distance from pixel to pixel from which on a change is an edge, not a soft shadow's slope.
    edge_gradient: float = 1.5
    # Largest fraction of what differs from the backdrop that may be shadow; above it, the object has nearly
    # the backdrop's colour.
    max_area_fraction: float = 0.5


def fit_backdrop(
    lab: np.ndarray, border: np.ndarray, config: BackdropConfig = BackdropConfig()
) -> tuple[np.ndarray, float] | None:
    """Fits a quadratic in image coordinates on which most of the border's colours lie.

    Args:
        lab: (H, W, 3) float32 CIE Lab.
        border: (H, W) bool.
        config: thresholds of the fit.

    Returns:
        The quadratic (H, W, 3) float32 CIE Lab, and the distance from it within which 98 % of the backdrop's
        own border pixels stay; None if the border is not smooth.
    """
    y, x = np.meshgrid(np.linspace(-1, 1, lab.shape[0]), np.linspace(-1, 1, lab.shape[1]), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
    rows, values = terms[border], lab[border].astype(np.float64)
    # Least median of squares (Rousseeuw 1984): up to half of the border may be anything.
    random = np.random.default_rng(0)
    scored = random.choice(len(rows), min(len(rows), config.scored_pixels), replace=False)
    best, least = None, np.inf
    for _ in range(config.trials):
        drawn = scored[random.choice(len(scored), config.pixels_per_trial, replace=False)]
        fit, *_ = np.linalg.lstsq(rows[drawn], values[drawn], rcond=None)
        median = np.median(np.linalg.norm(values[scored] - rows[scored] @ fit, axis=1))
        if median < least:
            best, least = fit, median
    # Least squares over the inliers of all border pixels.
    for _ in range(config.refinements):
        error = np.linalg.norm(values - rows @ best, axis=1)
        inlier = error <= max(1.0, 3 * np.median(error))
        best, *_ = np.linalg.lstsq(rows[inlier], values[inlier], rcond=None)
    noise = float(np.quantile(np.linalg.norm(values - rows @ best, axis=1)[inlier], 0.98))
    smooth = inlier.mean() >= config.min_border_fraction and noise < config.max_noise
    return ((terms @ best).astype(np.float32), noise) if smooth else None


def find_soft_shadow(
    color: np.ndarray, backdrop: np.ndarray, solid: np.ndarray, config: SoftShadowConfig = SoftShadowConfig()
) -> np.ndarray:
    """(H, W) bool: the pixels that differ from the backdrop only by a soft shadow on it.

    They are darker by the same factor in all channels, and the way to them from the open backdrop crosses no
    sharp edge. A grey object in front of a grey backdrop has the factor too, but also an outline.

    Args:
        color, backdrop: (H, W, 3) float32 sRGB 0..1.
        solid: (H, W) bool, what differs from the backdrop.
        config: thresholds.
    """
    ratio = color / np.maximum(backdrop, 1e-3)
    darkening = ratio.mean(axis=2)
    tint = np.abs(ratio - darkening[..., None]).max(axis=2)
    darkened = (darkening > config.min_brightness) & (darkening < 1.02) & (tint < config.max_tint)
    darkened &= backdrop.min(axis=2) > 0.15
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    soft = darkened & (gradient_magnitude(lab) < config.edge_gradient)
    shadow = ndimage.binary_propagation(~solid, mask=~solid | soft) & solid
    # Beside the object the blur makes the slope steep; the chroma still tells the two apart there.
    near = cv2.dilate(shadow.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    shadow = near & darkened & solid
    return shadow if shadow.sum() < config.max_area_fraction * solid.sum() else np.zeros_like(shadow)


def gradient_magnitude(lab: np.ndarray) -> np.ndarray:
    """(H, W) float32: CIE Lab distance from pixel to pixel in an image (H, W, 3) float32 CIE Lab, smoothed so
    that the noise of single pixels does not count."""
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    return np.sqrt(
        sum((cv2.Sobel(lab, cv2.CV_32F, *axis, scale=1 / 8) ** 2).sum(axis=2) for axis in ((1, 0), (0, 1)))
    )
