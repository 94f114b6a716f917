"""The part of Orbit Texture that lives in Blender: the only code that imports bpy."""

from . import command, operators, preferences, previews, properties, timer, ui

_PARTS = (properties, preferences, previews, operators, ui, timer, command)


def register() -> None:
    for part in _PARTS:
        part.register()


def unregister() -> None:
    for part in reversed(_PARTS):
        part.unregister()
