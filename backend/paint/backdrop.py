"""A smooth backdrop behind the object: its colour everywhere, and the soft shadows that the object throws on
it."""

import cv2
import numpy as np
from scipy import ndimage

SMOOTH = 4.0
"""CIE Lab distance within which the border of an image with a smooth backdrop stays of its quadratic."""

SHARE = 0.55
"""Least part of the border that has to show the backdrop; the object may be cut off by the rest."""

DARKEST = 0.2
"""Part of the backdrop's brightness (sRGB-encoded) that a soft shadow leaves at least."""

TINT = 0.04
"""Difference between the channels' darkening up to which it has the backdrop's own chroma."""

STEEP = 1.5
"""CIE Lab distance from pixel to pixel from which on a change is an edge and no soft shadow's."""

LARGEST = 0.5
"""Part of what differs from the backdrop that may be shadow; more is an object of nearly the backdrop's
colour."""


def fit_backdrop(lab: np.ndarray, border: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The quadratic in image coordinates that most of the border's colours lie on, and how far they are from
    it.

    Args:
        lab: (H, W, 3) float32 CIE Lab.
        border: (H, W) bool.

    Returns:
        (H, W, 3) float32 CIE Lab, and the distance within which 98 % of the backdrop's own border pixels
        stay; None where the border is not smooth.
    """
    y, x = np.meshgrid(np.linspace(-1, 1, lab.shape[0]), np.linspace(-1, 1, lab.shape[1]), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
    rows, values = terms[border], lab[border].astype(np.float64)
    # Least median of squares (Rousseeuw 1984): up to half of the border may be anything.
    random = np.random.default_rng(0)
    few = random.choice(len(rows), min(len(rows), 1000), replace=False)
    best, least = None, np.inf
    for _ in range(80):
        drawn = few[random.choice(len(few), 14, replace=False)]
        fit, *_ = np.linalg.lstsq(rows[drawn], values[drawn], rcond=None)
        middle = np.median(np.linalg.norm(values[few] - rows[few] @ fit, axis=1))
        if middle < least:
            best, least = fit, middle
    for _ in range(3):
        error = np.linalg.norm(values - rows @ best, axis=1)
        kept = error <= max(1.0, 3 * np.median(error))
        best, *_ = np.linalg.lstsq(rows[kept], values[kept], rcond=None)
    noise = float(np.quantile(np.linalg.norm(values - rows @ best, axis=1)[kept], 0.98))
    return ((terms @ best).astype(np.float32), noise) if kept.mean() >= SHARE and noise < SMOOTH else None


def soft_shadow(color: np.ndarray, backdrop: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """(H, W) bool: the part of what differs from the backdrop that is only the backdrop in soft shadow.

    It is darker by the same factor in all channels, and the way to it from the open backdrop crosses no sharp
    edge. A grey object before a grey backdrop has the factor too, but an outline.

    Args:
        color, backdrop: (H, W, 3) float32 sRGB 0..1.
        solid: (H, W) bool, what differs from the backdrop.
    """
    ratio = color / np.maximum(backdrop, 1e-3)
    darkening = ratio.mean(axis=2)
    spread = np.abs(ratio - darkening[..., None]).max(axis=2)
    darkened = (darkening > DARKEST) & (darkening < 1.02) & (spread < TINT) & (backdrop.min(axis=2) > 0.15)
    soft = darkened & (slope(color) < STEEP)
    shadow = ndimage.binary_propagation(~solid, mask=~solid | soft) & solid
    # Beside the object the blur makes the slope steep; the chroma still tells the two apart there.
    near = cv2.dilate(shadow.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    shadow = near & darkened & solid
    return shadow if shadow.sum() < LARGEST * solid.sum() else np.zeros_like(shadow)


def slope(color: np.ndarray) -> np.ndarray:
    """(H, W) float32 CIE Lab distance from pixel to pixel in an image (H, W, 3) float32 sRGB, of which one
    pixel's noise is smoothed."""
    lab = cv2.GaussianBlur(cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB), (0, 0), 1.0)
    return np.sqrt(
        sum((cv2.Sobel(lab, cv2.CV_32F, *axis, scale=1 / 8) ** 2).sum(axis=2) for axis in ((1, 0), (0, 1)))
    )
