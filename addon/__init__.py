"""The part of Orbit Texture that lives in Blender: the only code that imports bpy."""

from . import command, inspection, operators, overlay, preferences, previews, properties, quality_presets, surface, timer, ui

_PARTS = (properties, preferences, previews, inspection, surface, overlay, operators, quality_presets, ui, timer, command)


def register() -> None:
    for part in _PARTS:
        part.register()


def unregister() -> None:
    for part in reversed(_PARTS):
        part.unregister()
