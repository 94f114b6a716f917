"""What a job costs, from what jobs have cost: docs/performance.md has the table and where it was measured."""

from dataclasses import dataclass

import numpy as np

MEASURED = {"draft"}
"""Painters whose jobs have been measured."""

_TRIANGLES, _SECONDS = (5_000, 80_000, 1_310_000), (50, 50, 150)
"""Of a texture of 2k."""

_SIZES, _GIGABYTES = (1024, 2048, 4096, 8192), (2.0, 2.7, 5.1, 5.7)
"""Of a mesh of 5,000 triangles, at the peak."""

_GIGABYTES_PER_MILLION = 1.0
"""Of triangles, besides."""


@dataclass(frozen=True)
class Cost:
    """About what a job takes.

    Attributes:
        seconds: on two processor cores.
        gigabytes: of memory at the peak, 1e9 bytes each.
    """

    seconds: float
    gigabytes: float


def cost(triangles: int, texture_size: int) -> Cost:
    """What the draft painter's job takes, between what was measured and as far outside as there is nothing nearer."""
    return Cost(float(np.interp(triangles, _TRIANGLES, _SECONDS)),
                float(np.interp(texture_size, _SIZES, _GIGABYTES)) + _GIGABYTES_PER_MILLION * triangles / 1e6)
