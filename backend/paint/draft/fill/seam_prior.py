"""The seam prior: what the painted surface shows at its edge continues onto the hidden surface."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from .exemplar import Exemplar
from .samples import Samples


@dataclass(frozen=True)
class SeamConfig:
    """Tuned numbers of the seam prior. Costs are against 1 for a patch of random colours."""

    low_pass_sigma: float = 2.0
    """Spacings over which the exemplar's colours are averaged."""

    smoothing_rounds: int = 6
    """Rounds of averaging extrapolated colours with neighbours, so that they have no hard borders."""

    color_neighbors: int = 8
    """Neighbours whose colours tell whether the seam has one constant colour."""

    constant_cost: float = 0.03
    """Cost of a constant colour."""

    variance_cost: float = 3.0
    """Weight of the seam's own variance in that cost."""

    rare_fraction: float = 0.01
    """Fraction of the exemplar up to which a colour is so rare that it continues as a constant."""

    common_fraction: float = 0.03
    """Fraction from which on it does not: the cost is 1 higher."""

    color_tolerance: float = 0.1
    """Distance of sRGB colours 0..1 that count as one."""

    pattern_variance: float = 0.25
    """Fraction of the colours' variance within parts that low-pass colours keep, up to which the exemplar is
    stationary: the benchmark's patterns have up to 0.24."""

    object_variance: float = 0.4
    """Fraction from which on it shows things that each have their place: a monkey, a cow and a bottle have
    0.44 and more."""


def geodesic_distances(samples: Samples, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64 spacings along the surface from the nearest fixed sample, infinite where there is no way;
    and (N,) int64, that sample, negative where there is no way."""
    count, near = samples.neighbors.shape
    length = np.linalg.norm(samples.offsets, axis=2) / samples.spacing
    start, link = np.repeat(np.arange(count), near), samples.weights.ravel() > 0
    graph = csr_matrix(
        (length.ravel()[link], (start[link], samples.neighbors.ravel()[link])), shape=(count, count)
    )
    distance, _, origin = dijkstra(
        graph, directed=False, indices=np.flatnonzero(fixed), min_only=True, return_predecessors=True
    )
    return distance, origin.astype(np.int64)


def geodesic_origins(samples: Samples, fixed: np.ndarray, slot: np.ndarray) -> np.ndarray:
    """(N,) int64, the fixed sample whose paint continues to each: the nearest along the surface, or where
    there is no way the nearest in space, if possible one of the same material slot (N,) int64."""
    _, origin = geodesic_distances(samples, fixed)
    painted, lost = np.flatnonzero(fixed), origin < 0
    for number in np.unique(slot[lost]):
        asking, similar = np.flatnonzero(lost & (slot == number)), painted[slot[painted] == number]
        similar = similar if len(similar) else painted
        tree = cKDTree(samples.points[similar])
        origin[asking] = similar[tree.query(samples.points[asking], workers=-1)[1]]
    return origin


def extrapolate_seam_color(
    samples: Samples,
    fixed: np.ndarray,
    colors: np.ndarray,
    origin: np.ndarray,
    config: SeamConfig = SeamConfig(),
) -> np.ndarray:
    """(N, 3) float32: the low-pass colour of the nearest fixed surface, for all samples.

    Args:
        samples: of the surface.
        fixed: (N,) bool.
        colors: (N, 3) float32 sRGB 0..1.
        origin: (N,) int64, :func:`geodesic_origins`.
        config: tuned numbers.
    """
    weight = samples.weights * fixed[samples.neighbors]
    total = np.einsum("nk,nkc->nc", weight, colors[samples.neighbors]) + colors * fixed[:, None]
    mean = (total / np.maximum(weight.sum(axis=1) + fixed, 1e-6)[:, None])[origin]
    weight = samples.weights / (1 + samples.weights.sum(axis=1, keepdims=True))
    own = 1 - weight.sum(axis=1, keepdims=True)
    for _ in range(config.smoothing_rounds):
        mean = own * mean + np.einsum("nk,nkc->nc", weight, mean[samples.neighbors])
    return mean.astype(np.float32)


def constant_color_fallback(
    samples: Samples,
    fixed: np.ndarray,
    colors: np.ndarray,
    origin: np.ndarray,
    exemplar: Exemplar,
    inverse_variance: float,
    config: SeamConfig = SeamConfig(),
) -> tuple[np.ndarray, np.ndarray]:
    """The constant colour (N, 3) float32 that every sample may have instead of a patch, and (N,) float32 its
    cost.

    The cost is low where the nearest fixed surface has one colour, and the exemplar has hardly any of that
    colour to copy: a strip that is too narrow or seen too obliquely. Where it has, patches know better how
    far the colour continues: it may be a stripe.

    Args:
        samples: of the surface.
        fixed: (N,) bool, those that are painted.
        colors: (N, 3) float32 sRGB 0..1.
        origin: (N,) int64, :func:`geodesic_origins`.
        exemplar: the reference.
        inverse_variance: one over twice the variance of the exemplar's colours.
        config: tuned numbers.
    """
    near = samples.neighbors[:, : config.color_neighbors]
    weight = (samples.weights[:, : config.color_neighbors] * fixed[near])[..., None]
    total = weight.sum(axis=1) + fixed[:, None] + 1e-6
    mean = ((weight * colors[near]).sum(axis=1) + colors * fixed[:, None]) / total
    scatter = (weight[..., 0] * np.square(colors[near] - mean[:, None]).sum(axis=2)).sum(axis=1) / total[:, 0]
    cost = config.constant_cost + config.variance_cost * inverse_variance * scatter
    cost += common_color(exemplar, mean, config)
    return mean[origin].astype(np.float32), cost[origin].astype(np.float32)


def common_color(exemplar: Exemplar, colors: np.ndarray, config: SeamConfig = SeamConfig()) -> np.ndarray:
    """(N,) float64 0..1: how common the colours (N, 3) are in what the exemplar has to copy."""
    fraction = _color_fraction(exemplar, colors, config.color_tolerance)
    return np.clip((fraction - config.rare_fraction) / (config.common_fraction - config.rare_fraction), 0, 1)


def _color_fraction(exemplar: Exemplar, colors: np.ndarray, tolerance: float) -> np.ndarray:
    """(N,) float64: the fraction of the exemplar's usable pixels that have about the colours (N, 3)."""
    shown = exemplar.colors[exemplar.usable]
    some = shown[np.linspace(0, len(shown) - 1, min(len(shown), 4000)).astype(int)]
    return cKDTree(some).query_ball_point(colors, tolerance, workers=-1, return_length=True) / len(some)


def low_pass_color(
    exemplar: Exemplar, spacing: float, config: SeamConfig = SeamConfig(), inside: np.ndarray | None = None
) -> np.ndarray:
    """(H, W, 3) float32: the exemplar's colours, averaged over some spacings of the usable surface, or of
    the pixels ``inside`` (H, W) bool."""
    per_unit = np.sqrt(np.median(np.abs(np.linalg.det(exemplar.jacobian[exemplar.usable]))))
    weight = (exemplar.usable if inside is None else inside).astype(np.float32)
    sigma = config.low_pass_sigma * spacing * float(per_unit)
    total = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-6)[..., None]
    return cv2.GaussianBlur(exemplar.colors * weight[..., None], (0, 0), sigma) / total


def stationarity(
    exemplar: Exemplar, part: np.ndarray, spacing: float, config: SeamConfig = SeamConfig()
) -> float:
    """0..1, how much each part of the exemplar is one pattern all over, whose means over some spacings are
    all similar, and not things that each have their place, as a face has below hair.

    Args:
        exemplar: the reference.
        part: (U,) int32 of its usable pixels.
        spacing: between samples.
        config: tuned numbers.
    """
    kept, total = 0.0, 1e-6 * len(part)
    inside = np.zeros(exemplar.usable.shape, bool)
    for number in np.unique(part):
        inside[exemplar.usable] = part == number
        smooth = low_pass_color(exemplar, spacing, config, inside)[inside]
        kept += len(smooth) * float(smooth.var(axis=0).sum())
        total += len(smooth) * float(exemplar.colors[inside].var(axis=0).sum())
    return float(
        np.clip(
            (config.object_variance - kept / total) / (config.object_variance - config.pattern_variance), 0, 1
        )
    )
