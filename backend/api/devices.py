"""The devices of a computer and their memory: carried by events, and saved by the doctor for Blender."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from . import paths


@dataclass(frozen=True)
class Device:
    """A processor or GPU, and its memory at one moment.

    Attributes:
        name: the value of the setting ``device``: ``cpu``, ``cuda:0`` (also an AMD GPU), ``mps`` …
        title: the name of a GPU for users; "" for the processor.
        used, total: bytes of its memory, including what other programs use.
        cores: number of processor cores; 0 for a GPU.
    """

    name: str
    title: str
    used: int
    total: int
    cores: int = 0

    @property
    def free(self) -> float:
        """Free memory in gigabytes of 1e9 bytes."""
        return (self.total - self.used) / 1e9

    def to_dict(self) -> dict:
        return asdict(self)


def save_devices(devices: list[Device]) -> None:
    """Saves the devices for :func:`load_devices`. If that is not possible, the earlier ones stay."""
    file = _file()
    part = file.with_suffix(".part")
    with contextlib.suppress(OSError):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps([device.to_dict() for device in devices]), encoding="utf-8")
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)


def load_devices() -> list[Device]:
    """The devices that the doctor found last, the processor first; empty if it never ran."""
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        devices = [Device(**entry) for entry in json.loads(_file().read_text(encoding="utf-8"))]
        if all(
            isinstance(getattr(device, field.name), field.type)
            for device in devices
            for field in fields(Device)
        ):
            return devices
    return []


def _file() -> Path:
    return paths.home() / "devices.json"
