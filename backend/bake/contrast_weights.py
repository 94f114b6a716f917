"""Contrast-sensitive weights of the smoothness term (Ink3D Eq. 8): how much a border between two labels
shows."""

import numpy as np

MIN_CONTRAST_WEIGHT = 0.05
"""Weight where a border shows least; at 0 labels would change without reason."""


def contrast_weights(
    edges: np.ndarray, colors: np.ndarray, difference: np.ndarray | None = None
) -> np.ndarray:
    """The cost of a border between two voxels: low along an edge of the image, and low where all views show
    the same colour.

    A step in colour hides a seam: ``exp(-beta |c_m - c_n|^2)`` with beta = 1 / (2 <|c_m - c_n|^2>), the
    contrast term of Boykov and Jolly 2001 with the scale of GrabCut (Rother, Kolmogorov and Blake 2004, Eq.
    5); Ink3D says no more than colour-gradient-adaptive. Views that agree make no seam at all: where
    Lempitsky and Ivanov 2007 charge the difference of the two views at a seam, the difference to be expected
    of any two is charged here, so that the energy stays a Potts energy.

    Args:
        edges: (E, 2) int32 pairs of voxels.
        colors: (N, 3) float32, mean of each voxel's observations, sRGB, any scale.
        difference: (N,) float32, root mean square distance of a voxel's observations from their mean, any
            scale.

    Returns:
        (E,) float32 in MIN_CONTRAST_WEIGHT..1.
    """
    a, b = edges.T
    step = ((colors[a] - colors[b]) ** 2).sum(axis=1)
    weight = np.exp(-step / max(2 * float(step.mean(dtype=np.float64)), 1e-12))
    if difference is not None:
        doubt = difference[a] ** 2 + difference[b] ** 2
        weight = weight * -np.expm1(-doubt / max(float(doubt.mean(dtype=np.float64)), 1e-12))
    return np.maximum(weight, MIN_CONTRAST_WEIGHT).astype(np.float32)
