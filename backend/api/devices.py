"""What a computer works on, and how much memory that has: as events carry it, and as the doctor leaves it for
Blender."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from . import paths


@dataclass(frozen=True)
class Device:
    """A processor or a card at one moment.

    Attributes:
        name: as the setting ``device`` has it: ``cpu``, ``cuda:0`` (also an AMD card), ``mps`` …
        title: for people, of a card; "" for the processor.
        used, total: bytes of its memory, what other programs use included.
        cores: of the processor; 0 for a card.
    """

    name: str
    title: str
    used: int
    total: int
    cores: int = 0

    @property
    def free(self) -> float:
        """Gigabytes, 1e9 bytes each."""
        return (self.total - self.used) / 1e9

    def to_dict(self) -> dict:
        return asdict(self)


def save_devices(devices: list[Device]) -> None:
    """Leaves them where :func:`load_devices` finds them; if that is not possible, the earlier ones stay."""
    file = _file()
    part = file.with_suffix(".part")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps([device.to_dict() for device in devices]), encoding="utf-8")
        os.replace(part, file)


def load_devices() -> list[Device]:
    """The devices as the doctor found them last, the processor first; none before that."""
    try:
        return [Device(**entry) for entry in json.loads(_file().read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _file() -> Path:
    return paths.home() / "devices.json"
