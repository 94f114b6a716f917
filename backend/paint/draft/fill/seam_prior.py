"""Colours that the nearest painted surface foretells: what the seam shows goes on for a while."""

import cv2
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from .exemplar import Source
from .samples import Samples

BROAD = 2.0
"""Spacings over which the picture's colours are averaged."""

ROUNDS = 6
"""Of averaging with neighbours, so that what is foretold has no hard borders."""

FEW = 8
"""Neighbours whose colours tell whether the seam is of one plain colour."""

BARE, ROUGH = 0.03, 3.0
"""What a plain colour costs, against 1 for a patch of random colours; and what the seam's own variance
adds."""

RARE, ALIKE = (0.01, 0.03), 0.1
"""Share of the picture up to which a colour goes on plain, and from which on it does not; distance of colours
that count as one."""

PATTERN, THINGS = 0.25, 0.4
"""Share of the colours' variance that broad means keep: of the benchmark's patterns up to 0.24, of a monkey,
a cow, a bottle from 0.44."""


def ways(samples: Samples, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64 spacings along the surface from what is painted already, infinite where there is no way;
    and (N,) int64, the sample there, negative where there is no way."""
    count, near = samples.neighbors.shape
    length = np.linalg.norm(samples.offsets, axis=2) / samples.spacing
    start, link = np.repeat(np.arange(count), near), samples.weights.ravel() > 0
    graph = csr_matrix(
        (length.ravel()[link], (start[link], samples.neighbors.ravel()[link])), shape=(count, count)
    )
    way, _, origin = dijkstra(
        graph, directed=False, indices=np.flatnonzero(fixed), min_only=True, return_predecessors=True
    )
    return way, origin.astype(np.int64)


def origins(samples: Samples, fixed: np.ndarray, slot: np.ndarray) -> np.ndarray:
    """(N,) int64, the painted sample that each goes on from: the nearest along the surface, or where there is
    no way the nearest in space, if possible one of the same material slot (N,) int64."""
    _, origin = ways(samples, fixed)
    painted, lost = np.flatnonzero(fixed), origin < 0
    for number in np.unique(slot[lost]):
        apart, like = np.flatnonzero(lost & (slot == number)), painted[slot[painted] == number]
        like = like if len(like) else painted
        origin[apart] = like[cKDTree(samples.points[like]).query(samples.points[apart], workers=-1)[1]]
    return origin


def foretold(samples: Samples, fixed: np.ndarray, colors: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """(N, 3) float32: the broad colour of the nearest painted surface, of all samples; see
    :func:`origins`."""
    weight = samples.weights * fixed[samples.neighbors]
    total = np.einsum("nk,nkc->nc", weight, colors[samples.neighbors]) + colors * fixed[:, None]
    ahead = (total / np.maximum(weight.sum(axis=1) + fixed, 1e-6)[:, None])[origin]
    weight = samples.weights / (1 + samples.weights.sum(axis=1, keepdims=True))
    own = 1 - weight.sum(axis=1, keepdims=True)
    for _ in range(ROUNDS):
        ahead = own * ahead + np.einsum("nk,nkc->nc", weight, ahead[samples.neighbors])
    return ahead.astype(np.float32)


def plain(
    samples: Samples, fixed: np.ndarray, colors: np.ndarray, origin: np.ndarray, source: Source, gain: float
) -> tuple[np.ndarray, np.ndarray]:
    """The colour (N, 3) float32 with which every sample may go on without a pattern, and (N,) float32 what
    that costs it.

    It is little where the nearest painted surface is of one colour, and the picture has hardly any of that
    colour to copy: a strip that is too narrow or seen too much from the side. Where it has, patches know
    better than this how far the colour goes: it may be a stripe.

    Args:
        samples: of the surface.
        fixed: (N,) bool, those that are painted.
        colors: (N, 3) float32 sRGB 0..1.
        origin: (N,) int64 the nearest painted sample of each; see :func:`origins`.
        source: the picture.
        gain: one over twice the variance of the picture's colours.
    """
    near = samples.neighbors[:, :FEW]
    weight = (samples.weights[:, :FEW] * fixed[near])[..., None]
    total = weight.sum(axis=1) + fixed[:, None] + 1e-6
    mean = ((weight * colors[near]).sum(axis=1) + colors * fixed[:, None]) / total
    scatter = (weight[..., 0] * np.square(colors[near] - mean[:, None]).sum(axis=2)).sum(axis=1) / total[:, 0]
    cost = (
        BARE + ROUGH * gain * scatter + np.clip((_share(source, mean) - RARE[0]) / (RARE[1] - RARE[0]), 0, 1)
    )
    return mean[origin].astype(np.float32), cost[origin].astype(np.float32)


def _share(source: Source, colors: np.ndarray) -> np.ndarray:
    """(N,) float64: the share of the source's usable pixels that have about the colours (N, 3)."""
    shown = source.colors[source.usable]
    some = shown[np.linspace(0, len(shown) - 1, min(len(shown), 4000)).astype(int)]
    return cKDTree(some).query_ball_point(colors, ALIKE, workers=-1, return_length=True) / len(some)


def broad(source: Source, spacing: float) -> np.ndarray:
    """(H, W, 3) float32: the source's colours, averaged over ``BROAD`` spacings of the usable surface."""
    per_unit = np.sqrt(np.median(np.abs(np.linalg.det(source.steps[source.usable]))))
    weight = source.usable.astype(np.float32)
    reach = BROAD * spacing * float(per_unit)
    total = np.maximum(cv2.GaussianBlur(weight, (0, 0), reach), 1e-6)[..., None]
    return cv2.GaussianBlur(source.colors * weight[..., None], (0, 0), reach) / total


def patterned(source: Source, spacing: float) -> float:
    """0..1, how much the picture is of one pattern all over and not of things that have each their place, as
    a face has under hair: means over some spacings are all alike then."""
    shown = source.colors[source.usable]
    left = broad(source, spacing)[source.usable].var(axis=0).sum() / max(float(shown.var(axis=0).sum()), 1e-6)
    return float(np.clip((THINGS - left) / (THINGS - PATTERN), 0, 1))
