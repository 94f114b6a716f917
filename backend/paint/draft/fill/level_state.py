"""The state of one resolution level, and the arrays of it that the compiled kernels read."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .exemplar import Exemplar
from .samples import Samples

OCCURRENCE_CELL = 4
"""Exemplar pixels along a side of the cells in which occurrences are counted."""

OCCURRENCE_RATE = 0.25
"""Weight of a round's occurrences in the running mean: all samples move at once, and would leave an expensive
place all together."""


@dataclass(frozen=True)
class LevelState:
    """What stays the same while the nearest-neighbour field (NNF) of one level improves: N samples of the
    surface, an exemplar of H x W pixels, and the costs of copying from one to the other.

    Attributes:
        samples: of the surface.
        exemplar: the reference at this level's resolution.
        hidden: (N,) bool, the samples that are not known.
        free: (M,) int64, those of them that are being painted.
        ring_features: (N, 3) float32 of the samples: height, slope and distance from the main axis.
        exemplar_ring_features: (H, W, 3) float32, the same of the exemplar's pixels.
        ring_weight: (N,) float32, cost of copying from another ring.
        guides: (N, G) float32 of the samples; similar where places may look similar. Squared differences are
            costs.
        exemplar_guides: (H, W, G) float32, the same of the exemplar's pixels.
        parts: (N,) int32 parts of the surface that the samples belong to.
        exemplar_parts: (H, W) int32, the same of the exemplar's pixels.
        part_mismatch: (P, P) float32, cost of copying from one part to another.
        fallback_color: (N, 3) float32 sRGB 0..1, the constant colour that a sample may have instead of a
            patch.
        fallback_cost: (N,) float32, what that costs.
        usable_pixels: (P, 2) int32 row and column of the exemplar's usable pixels, which random search draws
            from.
        candidates: (M, C) int32 indices of usable pixels with similar guides, for each free sample.
        inverse_variance: one over twice the variance of the exemplar's colours.
        occurrence_weight: cost of a place that is copied as often as all places are on average.
        seed: of the random search.
    """

    samples: Samples
    exemplar: Exemplar
    hidden: np.ndarray
    free: np.ndarray
    ring_features: np.ndarray
    exemplar_ring_features: np.ndarray
    ring_weight: np.ndarray
    guides: np.ndarray
    exemplar_guides: np.ndarray
    parts: np.ndarray
    exemplar_parts: np.ndarray
    part_mismatch: np.ndarray
    fallback_color: np.ndarray
    fallback_cost: np.ndarray
    usable_pixels: np.ndarray
    candidates: np.ndarray
    inverse_variance: float
    occurrence_weight: float
    seed: int


class TargetArrays(NamedTuple):
    """The samples' arrays, for kernels; see :class:`.samples.Samples` and :class:`LevelState`."""

    neighbors: np.ndarray
    offsets: np.ndarray
    angles: np.ndarray
    weights: np.ndarray
    direction_strength: np.ndarray
    ring_features: np.ndarray
    ring_weight: np.ndarray
    guides: np.ndarray
    parts: np.ndarray
    fallback_color: np.ndarray
    fallback_cost: np.ndarray


class ExemplarArrays(NamedTuple):
    """The exemplar's arrays, for kernels; see :class:`.exemplar.Exemplar` and, with the prefix ``exemplar_``,
    :class:`LevelState`."""

    colors: np.ndarray
    usable: np.ndarray
    frames: np.ndarray
    jacobian: np.ndarray
    ring_features: np.ndarray
    guides: np.ndarray
    parts: np.ndarray
    part_mismatch: np.ndarray
    usable_pixels: np.ndarray
    inverse_variance: np.float32
    occurrence_weight: np.float32


class RoundArrays(NamedTuple):
    """What a round of the search starts from, for kernels.

    Attributes:
        nnf: (N, 3) float32, see :mod:`.patchmatch`; NaN where a sample has no patch.
        colors: (N, 3) float32 sRGB 0..1 of the samples.
        trust: (N,) float32, weight of a sample's colour in its neighbours' patches.
        occurrence: :func:`occurrence_map`.
    """

    nnf: np.ndarray
    colors: np.ndarray
    trust: np.ndarray
    occurrence: np.ndarray


def target_arrays(state: LevelState) -> TargetArrays:
    """What kernels read of the samples."""
    samples = state.samples
    return TargetArrays(
        neighbors=samples.neighbors,
        offsets=samples.offsets,
        angles=samples.angles,
        weights=samples.weights,
        direction_strength=samples.direction_strength,
        ring_features=state.ring_features,
        ring_weight=state.ring_weight,
        guides=state.guides,
        parts=state.parts,
        fallback_color=state.fallback_color,
        fallback_cost=state.fallback_cost,
    )


def exemplar_arrays(state: LevelState) -> ExemplarArrays:
    """What kernels read of the exemplar."""
    exemplar = state.exemplar
    return ExemplarArrays(
        colors=exemplar.colors,
        usable=exemplar.usable,
        frames=exemplar.frames,
        jacobian=exemplar.jacobian,
        ring_features=state.exemplar_ring_features,
        guides=state.exemplar_guides,
        parts=state.exemplar_parts,
        part_mismatch=state.part_mismatch,
        usable_pixels=state.usable_pixels,
        inverse_variance=np.float32(state.inverse_variance),
        occurrence_weight=np.float32(state.occurrence_weight),
    )


def occurrence_map(state: LevelState, nnf: np.ndarray, previous: np.ndarray | None = None) -> np.ndarray:
    """How often places of the exemplar are copied (Kaspar et al. 2015).

    Args:
        state: the level.
        nnf: (N, 3) float32.
        previous: the map of the round before, whose running mean this one continues; None in the first.

    Returns:
        (H / OCCURRENCE_CELL, W / OCCURRENCE_CELL) float32: the number of hidden samples that copy from each
        cell of the exemplar, over the number if all copied evenly.
    """
    height, width = state.exemplar.usable.shape
    shape = (-(-height // OCCURRENCE_CELL), -(-width // OCCURRENCE_CELL))
    occurrence, expected = np.zeros(shape, np.float64), np.zeros(shape, np.float64)
    mapped = nnf[state.hidden & np.isfinite(nnf[:, 0])]
    row, column = mapped[:, 1].astype(int), mapped[:, 0].astype(int)
    np.add.at(occurrence, (row // OCCURRENCE_CELL, column // OCCURRENCE_CELL), 1)
    # The expected number grows with the area of the surface that a pixel shows.
    row, column = state.usable_pixels.T
    area = 1 / np.maximum(np.abs(np.linalg.det(state.exemplar.jacobian[row, column])), 1e-6)
    np.add.at(expected, (row // OCCURRENCE_CELL, column // OCCURRENCE_CELL), area)
    expected *= max(len(mapped), 0.3 * state.hidden.sum()) / expected.sum()
    occurrence /= np.maximum(expected, 0.5 * expected[expected > 0].mean())
    mean = occurrence if previous is None else previous + OCCURRENCE_RATE * (occurrence - previous)
    return mean.astype(np.float32)
