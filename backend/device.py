"""Where networks work, and how much memory there is. torch is imported where it is needed: it takes seconds,
and Draft needs none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

from .api.devices import Device
from .api.errors import InvalidSettings

if TYPE_CHECKING:
    import torch


def best_device() -> torch.device:
    """An NVIDIA or AMD GPU, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_called(name: str) -> torch.device:
    """The device that the setting ``device`` means.

    Raises:
        InvalidSettings: this computer has none of that name.
    """
    import torch

    if name == "auto":
        return best_device()
    if name not in (there := names()):
        raise InvalidSettings(
            f"This computer has no device '{name}'. It has: {', '.join(there)}. Choose one of them in the "
            "preferences, or auto."
        )
    return torch.device(name)


def names() -> list[str]:
    """Of all devices, the processor first."""
    import torch

    cards = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


def look_at(device: torch.device) -> Device:
    """How full a device's memory is now. To look at a card takes some of its memory for as long as this
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
    return processor()


def processor() -> Device:
    """How full the computer's own memory is now."""
    memory = psutil.virtual_memory()
    return Device("cpu", "", memory.total - memory.available, memory.total, os.cpu_count() or 1)
