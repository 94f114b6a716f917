"""What this computer works on, as the doctor has found it. Read when that may have changed, since a panel
that draws reads no files."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api import devices
from ...backend.api.devices import Device
from ...backend.api.settings import Settings

_PACKAGE = __package__.partition(".addon")[0]
_AUTOMATIC = Settings().device

_known: list[Device] = []


def look() -> None:
    """Takes what the doctor has left."""
    global _known
    _known = devices.load_devices()


def known() -> list[Device]:
    """The processor, then the cards, when last looked; none before the doctor has run."""
    return _known


def chosen() -> str:
    """The setting ``device``, as the preferences have it."""
    page = bpy.context.preferences.addons.get(_PACKAGE)
    return page.preferences.device.strip() or _AUTOMATIC if page else _AUTOMATIC


def meant(name: str) -> Device | None:
    """The device that a setting means, as far as the doctor has found it."""
    named = [device for device in _known if device.name == name]
    best = [device for device in _known if device.name.startswith("cuda")] or _known
    return next(iter(best if name == _AUTOMATIC else named), None)


def title(device: Device) -> str:
    """A device's name for people."""
    return rpt_("CPU, {} cores").format(device.cores) if device.cores else device.title


def fullness(device: Device) -> str:
    """What works, and how full its memory is: "NVIDIA H100: 29.1 of 79.6 GB"."""
    return rpt_("{}: {:.1f} of {:.1f} GB").format(title(device), device.used / 1e9, device.total / 1e9)
