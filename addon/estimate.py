"""What a job costs, from what jobs have cost: docs/performance.md has the table and where it was measured."""

import os
from dataclasses import dataclass

import numpy as np

from ..backend.api.settings import Settings

_TRIANGLES, _SECONDS = (5_000, 80_000, 330_000), (50, 50, 230)
"""Of a texture of 2k; the texture's size hardly matters."""

_SIZES, _GIGABYTES = (1024, 2048, 4096, 8192), (2.0, 2.7, 5.1, 5.7)
"""Of a mesh of 5,000 triangles, at the peak."""

_GIGABYTES_PER_MILLION = 1.0
"""Of triangles, besides."""

_STAGES = {"prepare", "render", "paint", "align", "bake"}

_pace = 1.0
"""Of this computer: seconds for one of the table's, as the last job took them."""


@dataclass(frozen=True)
class Cost:
    """About what a job takes.

    Attributes:
        seconds: on this computer if it has done a job since Blender was started, else on the table's.
        gigabytes: of memory at the peak, 1e9 bytes each.
    """

    seconds: float
    gigabytes: float


def cost(triangles: int, settings: Settings) -> Cost | None:
    """What a job takes; None for a painter whose jobs have not been measured."""
    if settings.painter != "draft" or settings.refines:
        return None
    return Cost(_pace * float(np.interp(triangles, _TRIANGLES, _SECONDS)),
                float(np.interp(settings.texture_size, _SIZES, _GIGABYTES)) + _GIGABYTES_PER_MILLION * triangles / 1e6)


def learn(report: dict) -> None:
    """Takes this computer's pace from the report of a job that did all its stages."""
    global _pace
    seconds = report.get("seconds", {})
    if set(seconds) >= _STAGES and (foretold := cost(report["triangles"], Settings.from_dict(report["settings"]))):
        _pace *= sum(seconds.values()) / foretold.seconds


def memory() -> float | None:
    """Gigabytes of memory that this computer has; None where the system does not tell (Windows)."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
