"""What a surface of revolution tells of its hidden side: where turning about its axis brings shown surface.

A ring that has one colour wherever it is shown, over a quarter of the circle or more, has it all around. One
that changes with the angle, as under a label, keeps what it has at both ends of what is shown, if that is the
same, and is not known otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....parallel import map_parallel
from .revolution import Revolution, RoundSurface

ShownLookup = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``look_up(places (N, 3), nearest (N,)) -> (colors (N, 3), trust (N,))``: what the image shows of places on
the surface, given the nearest points of the :class:`.revolution.RoundSurface`."""


@dataclass(frozen=True)
class TurningConfig:
    """Tuned numbers of this prior."""

    turns: int = 36
    """Angles, evenly around, that points are turned by."""

    min_trust: float = 0.3
    """Trust in a colour from which on it is part of a ring."""

    least_arc: float = 45.0
    """Degrees of a ring that have to be shown for anything to be known of it."""

    full_arc: float = 85.0
    """Degrees from which on it is known as well as it can be."""

    same_color: float = 0.04
    """Standard deviation within a ring, 0..1 and over all channels, that counts as one colour."""

    other_color: float = 0.14
    """The same from which on it has several."""

    end_arc: float = 30.0
    """Degrees at both ends of what is shown that decide where a ring has several colours."""

    end_confidence: float = 0.6
    """Most confidence in those."""

    least_end: float = 0.4
    """Fraction of what is shown of a ring that has to have the colour of its ends."""


def predict_by_turning(
    surface: RoundSurface,
    revolution: Revolution,
    look_up: ShownLookup,
    points: np.ndarray,
    normals: np.ndarray,
    config: TurningConfig = TurningConfig(),
) -> tuple[np.ndarray, np.ndarray]:
    """Colours of hidden points from what is shown of their rings.

    Args:
        surface: points all over the surface.
        revolution: its axis.
        look_up: what the image shows.
        points, normals: (N, 3) float32, hidden.
        config: tuned numbers.

    Returns:
        (N, 3) float32 colours, and (N,) float32 confidence 0..1.
    """
    angles = 2 * np.pi * np.arange(1, config.turns) / config.turns
    colors = np.zeros((len(angles), len(points), 3), np.float32)
    weight, landed = np.zeros((2, len(angles), len(points)), np.float32)

    def turn(number: int) -> None:
        places, near, missed = surface.land(revolution, points, normals, angles[number])
        on = missed < 1
        landed[number] = on
        colors[number, on], trust = look_up(places[on].astype(np.float32), near[on])
        weight[number, on] = trust > config.min_trust

    map_parallel(turn, range(len(angles)))
    roundness = np.clip(landed.mean(axis=0) / surface.config.min_roundness * 2 - 1, 0, 1)
    arc = 360 / config.turns * weight.sum(axis=0)
    mean, scatter = _mean_and_deviation(colors, weight)
    whole = _agreement(scatter, config)
    # At both ends: the first that are shown after a turn to the one side and to the other.
    count = max(1, round(config.end_arc * config.turns / 360))
    ends = weight * ((np.cumsum(weight, axis=0) <= count) | (np.cumsum(weight[::-1], axis=0)[::-1] <= count))
    end_mean, end_scatter = _mean_and_deviation(colors, ends)
    end = config.end_confidence * _agreement(end_scatter, config)
    alike = np.linalg.norm(colors - end_mean, axis=2) < config.other_color
    end *= (weight * alike).sum(axis=0) >= config.least_end * weight.sum(axis=0)
    shown = np.clip((arc - config.least_arc) / (config.full_arc - config.least_arc), 0, 1)
    color = np.where((whole >= end)[:, None], mean, end_mean)
    confidence = roundness * shown * np.maximum(whole, end)
    return color.astype(np.float32), confidence.astype(np.float32)


def _mean_and_deviation(colors: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (N, 3) and standard deviations (N,), over all channels, of colours (T, N, 3) by
    weights (T, N)."""
    total = np.maximum(weight.sum(axis=0), 1e-6)
    mean = np.einsum("tn,tnc->nc", weight, colors) / total[:, None]
    square = np.einsum("tn,tnc->n", weight, np.square(colors - mean))
    return mean, np.sqrt(square / total)


def _agreement(deviation: np.ndarray, config: TurningConfig) -> np.ndarray:
    """(N,) 0..1: how much a ring of this standard deviation (N,) is of one colour."""
    return np.clip((config.other_color - deviation) / (config.other_color - config.same_color), 0, 1)
