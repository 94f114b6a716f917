"""What a job costs, from what jobs have cost: docs/performance.md has the table and where it was measured."""

import os
from dataclasses import dataclass

import numpy as np

from ...backend.api.devices import Device
from ...backend.api.memory_profiles import (
    FIRST_BLOCK_CACHE_QUALITIES,
    MEMORY_PROFILES,
    PUBLISHED_TOKENS,
    SPARE_GIGABYTES,
    profiles_that_fit,
)
from ...backend.api.settings import Settings
from ...backend.api.weights import ORBITPAINTER, TRELLIS2

_TRIANGLES, _SECONDS = (5_000, 80_000, 330_000), (50, 50, 230)
"""Of a texture of 2k; the texture's size hardly matters."""

_SIZES, _GIGABYTES = (1024, 2048, 4096, 8192), (2.0, 2.7, 5.1, 5.7)
"""Of a mesh of 5,000 triangles, at the peak."""

_GIGABYTES_PER_MILLION = 1.0
"""Of triangles, besides."""

_LARGEST = max(size for source in TRELLIS2.sources for size in source.files.values()) / 1e9
"""Gigabytes of TRELLIS.2's largest network in 16 bits, as a card holds it; the processor takes 32."""

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
    return Cost(_pace * float(np.interp(triangles, _TRIANGLES, _SECONDS)), _besides(triangles, settings))


@dataclass(frozen=True)
class Load:
    """What a model takes, by arithmetic: nothing of it has been measured on a card. Gigabytes, 1e9 bytes
    each.

    Attributes:
        who: the model, for people.
        card: of the card; 0 where the processor works.
        memory: of the computer's own memory.
    """

    who: str
    card: float
    memory: float


def loads(settings: Settings, device: Device, there: float) -> list[Load]:
    """What each model of a job takes at the peak: as it will be held on this device, or the least that it can
    take if that is too much.

    Args:
        there: gigabytes of memory that the computer has.
    """
    found, on_card = [], not device.cores
    if settings.painter == ORBITPAINTER.name:
        cached = settings.quality in FIRST_BLOCK_CACHE_QUALITIES
        profile = (
            profiles_that_fit(device.free, there, PUBLISHED_TOKENS, cached)[0]
            if device.name.startswith("cuda")
            else MEMORY_PROFILES[0]
        )
        card = profile.gpu_gigabytes(PUBLISHED_TOKENS, cached)
        found.append(
            Load(ORBITPAINTER.title, card + SPARE_GIGABYTES, profile.host_gigabytes() + SPARE_GIGABYTES)
            if on_card
            else Load(ORBITPAINTER.title, 0.0, card + SPARE_GIGABYTES)
        )
    if settings.refines:
        found.append(
            Load(TRELLIS2.title, _LARGEST + SPARE_GIGABYTES, SPARE_GIGABYTES)
            if on_card
            else Load(TRELLIS2.title, 0.0, 2 * _LARGEST + SPARE_GIGABYTES)
        )
    return found


def learn(report: dict) -> None:
    """Takes this computer's pace from the report of a job that did all its stages."""
    global _pace
    seconds = report.get("seconds", {})
    if set(seconds) >= _STAGES and (
        foretold := cost(report["triangles"], Settings.from_dict(report["settings"]))
    ):
        _pace *= sum(seconds.values()) / foretold.seconds


def peak(triangles: int, settings: Settings, device: Device, there: float) -> tuple[float, float]:
    """Gigabytes of the card and of the computer's memory that a job takes at the peak, one model being at
    work at a time."""
    models = loads(settings, device, there)
    return max((load.card for load in models), default=0.0), max(
        [_besides(triangles, settings), *(load.memory for load in models)]
    )


def _besides(triangles: int, settings: Settings) -> float:
    """Gigabytes of memory that the stages without a model take."""
    return (
        float(np.interp(settings.texture_size, _SIZES, _GIGABYTES)) + _GIGABYTES_PER_MILLION * triangles / 1e6
    )


def memory() -> float | None:
    """Gigabytes of memory that this computer has; None where the system does not tell (Windows)."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
