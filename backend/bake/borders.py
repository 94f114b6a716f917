"""How much a border between two labels shows: the adaptive weights of the smoothness term (Ink3D Eq. 8)."""

import numpy as np

LEAST = 0.05
"""Weight where a border shows least; were it 0, labels would change for nothing."""


def border_weights(edges: np.ndarray, colors: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
    """The cost of a border between two voxels: little along an edge of the image, and little where all views
    show the same colour.

    A step in colour hides a seam: ``exp(-beta |c_m - c_n|^2)`` with beta = 1 / (2 <|c_m - c_n|^2>), the
    contrast term of Boykov and Jolly 2001 with the scale of GrabCut (Rother, Kolmogorov and Blake 2004, Eq.
    5). The paper says colour-gradient-adaptive and no more. Views that agree make no seam at all: the
    difference of the two views that Lempitsky and Ivanov 2007 charge is taken here as the difference to be
    expected of any two, so that the energy stays Potts.

    Args:
        edges: (E, 2) int32 pairs of voxels.
        colors: (N, 3) float32, mean of each voxel's observations, sRGB, any scale.
        spread: (N,) float32, root mean square distance of a voxel's observations from their mean, any scale.

    Returns:
        (E,) float32 in LEAST..1.
    """
    a, b = edges.T
    step = ((colors[a] - colors[b]) ** 2).sum(axis=1)
    weight = np.exp(-step / max(2 * float(step.mean(dtype=np.float64)), 1e-12))
    if spread is not None:
        doubt = spread[a] ** 2 + spread[b] ** 2
        weight = weight * -np.expm1(-doubt / max(float(doubt.mean(dtype=np.float64)), 1e-12))
    return np.maximum(weight, LEAST).astype(np.float32)
