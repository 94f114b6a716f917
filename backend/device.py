"""The devices on which networks run, and their memory. torch is imported inside the functions that need it:
it takes seconds to import, and Draft works without it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

from .api.devices import Device
from .api.errors import InvalidSettings, OutOfMemory
from .api.weights import format_size

if TYPE_CHECKING:
    import torch


def best_device() -> torch.device:
    """An NVIDIA or AMD GPU if there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def find_device(name: str) -> torch.device:
    """The device that the setting ``device`` names.

    Raises:
        InvalidSettings: this computer has none of that name.
    """
    import torch

    if name == "auto":
        return best_device()
    if name not in (available := device_names()):
        raise InvalidSettings(
            f"This computer has no device '{name}'. It has: {', '.join(available)}. Choose one of them in "
            "the preferences, or auto."
        )
    return torch.device(name)


def device_names() -> list[str]:
    """The names of all devices, the CPU first."""
    import torch

    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def query_device(device: torch.device) -> Device:
    """A device and how full its memory is now. Querying a GPU takes some of its memory for as long as this
    process lives."""
    import torch

    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        index = torch.cuda.current_device() if device.index is None else device.index
        return Device(f"cuda:{index}", torch.cuda.get_device_name(device), total - free, total)
    if device.type == "mps":
        return Device(
            "mps", "Apple GPU", torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory()
        )
    return query_cpu()


def query_cpu() -> Device:
    """The CPU and how full the computer's own memory is now."""
    memory = psutil.virtual_memory()
    return Device("cpu", "", memory.total - memory.available, memory.total, os.cpu_count() or 1)


def check_memory(needed: float, gain: str) -> None:
    """Raises :class:`OutOfMemory` if fewer bytes than ``needed`` are free; ``gain`` says what for others
    should be closed."""
    if (free := psutil.virtual_memory().available) < needed:
        raise OutOfMemory(
            f"It takes {format_size(needed)} of memory, and {format_size(free)} are free. Close other "
            f"programs for {gain}."
        )
