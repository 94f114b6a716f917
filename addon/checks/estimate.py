"""What a job costs in seconds and memory, estimated from measured jobs: docs/performance.md has the table and
says where it was measured."""

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

_MEASURED_TRIANGLES = (5_000, 80_000, 330_000)
"""Triangles of the meshes whose jobs were timed."""

_MEASURED_SECONDS = (50, 50, 230)
"""Seconds of those jobs with a texture of 2k; the texture's size hardly matters."""

_MEASURED_SIZES = (1024, 2048, 4096, 8192)
"""Texture sizes of the jobs whose memory was measured."""

_MEASURED_GIGABYTES = (2.0, 2.7, 5.1, 5.7)
"""Peak memory of those jobs with a mesh of 5,000 triangles."""

_GIGABYTES_PER_MILLION_TRIANGLES = 1.0
"""Memory that a larger mesh adds."""

_TRELLIS2_GIGABYTES = max(size for source in TRELLIS2.sources for size in source.files.values()) / 1e9
"""TRELLIS.2's largest network in 16 bits, as a graphics card holds it; the processor uses 32 bits."""

_STAGES = {"prepare", "register", "render", "paint", "align", "bake"}
"""Stages that a job must have run for its time to count."""

_pace = 1.0
"""How much slower this computer is than the one in the table, according to the last job."""


@dataclass(frozen=True)
class Cost:
    """About what a job takes.

    Attributes:
        seconds: on this computer if it has finished a job since Blender was started, else on the table's.
        gigabytes: peak memory, in units of 1e9 bytes.
    """

    seconds: float
    gigabytes: float


def cost(triangles: int, settings: Settings) -> Cost | None:
    """What a job takes; None for a painter whose jobs have not been measured."""
    if settings.painter != "draft" or settings.refines:
        return None
    seconds = _pace * float(np.interp(triangles, _MEASURED_TRIANGLES, _MEASURED_SECONDS))
    return Cost(seconds, _memory_without_models(triangles, settings))


@dataclass(frozen=True)
class ModelMemory:
    """Memory that a model takes at its peak in gigabytes (1e9 bytes), computed and not measured.

    Attributes:
        model: its name for users.
        gpu: memory of the graphics card; 0 where the processor computes.
        ram: memory of the computer.
    """

    model: str
    gpu: float
    ram: float


def model_memory(settings: Settings, device: Device, total_ram: float) -> list[ModelMemory]:
    """Peak memory of each model of a job, placed on a device as the worker will place it. If even the
    smallest placement does not fit, it is that one.

    Args:
        total_ram: gigabytes of memory of this computer.
    """
    found, on_gpu = [], not device.cores
    if settings.painter == ORBITPAINTER.name:
        cached = settings.quality in FIRST_BLOCK_CACHE_QUALITIES
        profile = (
            profiles_that_fit(device.free, total_ram, PUBLISHED_TOKENS, cached)[0]
            if device.name.startswith("cuda")
            else MEMORY_PROFILES[0]
        )
        gpu = profile.gpu_gigabytes(PUBLISHED_TOKENS, cached)
        ram = profile.host_gigabytes()
        found.append(
            ModelMemory(ORBITPAINTER.title, gpu + SPARE_GIGABYTES, ram + SPARE_GIGABYTES)
            if on_gpu
            else ModelMemory(ORBITPAINTER.title, 0.0, gpu + SPARE_GIGABYTES)
        )
    if settings.refines:
        found.append(
            ModelMemory(TRELLIS2.title, _TRELLIS2_GIGABYTES + SPARE_GIGABYTES, SPARE_GIGABYTES)
            if on_gpu
            else ModelMemory(TRELLIS2.title, 0.0, 2 * _TRELLIS2_GIGABYTES + SPARE_GIGABYTES)
        )
    return found


def learn_pace(report: dict) -> None:
    """Updates this computer's pace from the report of a job that ran all its stages."""
    global _pace
    seconds = report.get("seconds", {})
    if set(seconds) >= _STAGES and (
        expected := cost(report["triangles"], Settings.from_dict(report["settings"]))
    ):
        _pace *= sum(seconds.values()) / expected.seconds


def peak_memory(triangles: int, settings: Settings, device: Device, total_ram: float) -> tuple[float, float]:
    """``(gpu, ram)``: peak gigabytes of a job, of whose models only one runs at a time."""
    models = model_memory(settings, device, total_ram)
    return max((model.gpu for model in models), default=0.0), max(
        [_memory_without_models(triangles, settings), *(model.ram for model in models)]
    )


def _memory_without_models(triangles: int, settings: Settings) -> float:
    """Gigabytes of memory that the stages without a model take."""
    return (
        float(np.interp(settings.texture_size, _MEASURED_SIZES, _MEASURED_GIGABYTES))
        + _GIGABYTES_PER_MILLION_TRIANGLES * triangles / 1e6
    )


def total_memory() -> float | None:
    """Gigabytes of memory of this computer; None where the system does not report it (Windows)."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
