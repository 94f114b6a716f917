"""What one level of the search is about, and what the compiled loops read of it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .exemplar import Source
from .samples import Samples

CELL = 4
"""Side in source pixels of the cells whose uses are counted."""

PATIENCE = 0.25
"""How much a round's uses count in the running mean: all samples move at once, and would leave a dear place
all together."""


@dataclass(frozen=True)
class Problem:
    """What stays the same while the maps of one level improve.

    Attributes:
        samples: the surface.
        source: the picture.
        hidden: (N,) bool, the samples that are not known.
        free: (M,) int64, those of them that are being painted.
        rings: (N, 3) float32, and ``source_rings`` (H, W, 3): height, slope and distance from the main axis;
            ``sure`` (N,) float32 is what it costs to copy from another ring.
        guides: (N, G) float32, and ``source_guides`` (H, W, G): alike in places that may look alike; squared
            differences are costs.
        parts: (N,) int32, and ``source_parts`` (H, W) int32: parts of the surface; ``apart`` (P, P) float32
            is what it costs to copy from another.
        plain: (N, 3) float32, the plain colour that each sample may have instead of a patch, and ``bare``
            (N,) float32 what that costs.
        places: (P, 2) int32 row and column of usable pixels: what random search draws from.
        hints: (M, C) int32 indices of places that the guides suggest for each free sample.
        gain: one over the variance of the source's colours.
        usage: what a use costs per even share of uses.
        seed: of the random search.
    """

    samples: Samples
    source: Source
    hidden: np.ndarray
    free: np.ndarray
    rings: np.ndarray
    source_rings: np.ndarray
    sure: np.ndarray
    guides: np.ndarray
    source_guides: np.ndarray
    parts: np.ndarray
    source_parts: np.ndarray
    apart: np.ndarray
    plain: np.ndarray
    bare: np.ndarray
    places: np.ndarray
    hints: np.ndarray
    gain: float
    usage: float
    seed: int


class Target(NamedTuple):
    """What the search reads of the samples; see :class:`.samples.Samples` and :class:`Problem`."""

    neighbors: np.ndarray
    offsets: np.ndarray
    turns: np.ndarray
    weights: np.ndarray
    steady: np.ndarray
    rings: np.ndarray
    sure: np.ndarray
    guides: np.ndarray
    parts: np.ndarray
    colors: np.ndarray
    trust: np.ndarray
    plain: np.ndarray
    bare: np.ndarray


class Origin(NamedTuple):
    """What it reads of the source; see :class:`.exemplar.Source` and :class:`Problem`."""

    image: np.ndarray
    usable: np.ndarray
    frames: np.ndarray
    steps: np.ndarray
    rings: np.ndarray
    guides: np.ndarray
    parts: np.ndarray
    apart: np.ndarray
    places: np.ndarray
    uses: np.ndarray
    gain: np.float32
    usage: np.float32


def count_uses(problem: Problem, maps: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """(H / CELL, W / CELL) float32: how many hidden samples copy from each cell of the source, over what
    would be the cell's even share; a running mean, where there is one of the rounds ``before``."""
    height, width = problem.source.usable.shape
    shape = (-(-height // CELL), -(-width // CELL))
    uses, share = np.zeros(shape, np.float64), np.zeros(shape, np.float64)
    mapped = maps[problem.hidden & np.isfinite(maps[:, 0])]
    np.add.at(uses, (mapped[:, 1].astype(int) // CELL, mapped[:, 0].astype(int) // CELL), 1)
    # A pixel's share grows with the surface that it shows.
    steps = problem.source.steps[problem.places[:, 0], problem.places[:, 1]]
    area = 1 / np.maximum(np.abs(np.linalg.det(steps)), 1e-6)
    np.add.at(share, (problem.places[:, 0] // CELL, problem.places[:, 1] // CELL), area)
    share *= max(len(mapped), 0.3 * problem.hidden.sum()) / share.sum()
    uses /= np.maximum(share, 0.5 * share[share > 0].mean())
    return (uses if before is None else before + PATIENCE * (uses - before)).astype(np.float32)
