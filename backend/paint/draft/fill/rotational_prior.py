"""The rotational-symmetry prior: a ring around the main axis that is blue wherever it is visible is blue at
the back, too. For things that are not round; :mod:`.turning_prior` is for those that are."""

from dataclasses import dataclass

import numpy as np

from ....neighbors import nearest_neighbors, weighted_mean, weighted_variance
from .orientation_field import ring_features
from .samples import Samples


@dataclass(frozen=True)
class RingConfig:
    """Tuned numbers of the rotational-symmetry prior."""

    neighbors: int = 32
    """Known samples that a free one is compared with."""

    radius: float = 1.5
    """Spacings, in ring features, over which a known sample's weight falls to 1/e."""

    scatter_penalty: float = 5.0
    """Confidence lost per variance within a ring, as a fraction of the variance of all known colours."""

    spread: float = 0.06
    """Standard deviation of the known samples' places across the axis, in longest sides of the mesh, that
    makes half of the confidence: a ring has to be known from all around."""


def predict_from_rings(
    samples: Samples,
    axis: np.ndarray,
    colors: np.ndarray,
    known: np.ndarray,
    free: np.ndarray,
    config: RingConfig = RingConfig(),
) -> tuple[np.ndarray, np.ndarray]:
    """Colours of free samples from known ones at the same height, slope and distance from the axis.

    Args:
        samples: of the surface.
        axis: (3,) unit.
        colors: (N, 3) float32.
        known, free: (K,) and (M,) int64 indices of samples.
        config: tuned numbers.

    Returns:
        (M, 3) float32 colours, and (M,) float32 0..1 confidence: high where the known samples agree and come
        from all around.
    """
    points, spacing = samples.points, samples.spacing
    variance = max(float(colors[known].var(axis=0).sum()), 1e-3)
    # The known samples (M, K) with the most similar ring features, and their weights.
    feature = ring_features(axis, points, samples.normals)
    distance, near = nearest_neighbors(feature[known], feature[free], config.neighbors)
    near = known[near]
    weight = np.exp(-np.square(distance / (config.radius * spacing))) + 1e-6
    weight /= weight.sum(axis=1, keepdims=True)
    # Their mean colours, and how much these scatter.
    mean = weighted_mean(colors, near, weight)
    scatter = weighted_variance(colors, near, weight, mean)
    # How far they are spread around the axis.
    across = points - (points @ axis)[:, None] * axis
    middle = weighted_mean(across, near, weight)
    spread = np.sqrt(weighted_variance(across, near, weight, middle))
    agreement = np.square(np.clip(1 - config.scatter_penalty * scatter / variance, 0, 1))
    confidence = (
        agreement * np.clip(spread / config.spread - 0.5, 0, 1) * np.clip(3 - distance[:, 0] / spacing, 0, 1)
    )
    return mean.astype(np.float32), confidence.astype(np.float32)
