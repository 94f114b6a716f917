"""The devices of this computer, as the doctor found them. Kept in memory, since a panel that draws must not
read files."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api import devices
from ...backend.api.devices import Device
from ...backend.api.settings import Settings

ADDON_ID = __package__.partition(".addon")[0]
"""The extension's full name, by which Blender knows its preferences."""
_AUTOMATIC = Settings().device

_devices: list[Device] = []


def refresh() -> None:
    """Reads again what the doctor stored."""
    global _devices
    _devices = devices.load_devices()


def all_devices() -> list[Device]:
    """The processor, then the graphics cards, as of the last refresh; empty before the doctor has run."""
    return _devices


def device_setting() -> str:
    """The value of the setting ``device`` in the preferences."""
    page = bpy.context.preferences.addons.get(ADDON_ID)
    return page.preferences.device.strip() or _AUTOMATIC if page else _AUTOMATIC


def resolve(name: str) -> Device | None:
    """The device that a value of the setting selects; None if the doctor has not found it."""
    named = [device for device in _devices if device.name == name]
    best = [device for device in _devices if device.name.startswith("cuda")] or _devices
    return next(iter(best if name == _AUTOMATIC else named), None)


def display_name(device: Device) -> str:
    """A device's name for users."""
    return rpt_("CPU, {} cores").format(device.cores) if device.cores else device.title


def describe_memory(device: Device) -> str:
    """A device and how much of its memory is used: "NVIDIA H100: 29.1 of 79.6 GB"."""
    return rpt_("{}: {:.1f} of {:.1f} GB").format(display_name(device), device.used / 1e9, device.total / 1e9)
