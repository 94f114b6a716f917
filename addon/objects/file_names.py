"""File names from names that users give, and paths in Blender's notation. A name never leads out of its
folder and never makes two things share a file."""

import re
from collections.abc import Iterable
from pathlib import Path

import bpy

from ...backend.api.errors import InvalidSettings

MAX_LENGTH = 100
"""Characters of a name in a file name; systems allow 255 bytes for all of it."""

_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""Names that Windows keeps for devices."""


def clean_file_name(name: str) -> str:
    """A name as part of a file name on any system: "Hat/1" becomes "Hat_1"."""
    cleaned = bpy.path.clean_name(name)[:MAX_LENGTH].strip(" .") or "_"
    return f"{cleaned}_" if _DEVICES.fullmatch(cleaned) else cleaned


def unique_file_name(name: str, names: Iterable[str]) -> str:
    """Like :func:`clean_file_name`, but no two of the names get the same, not even on systems that ignore
    case. Those that need no cleaning keep theirs.

    Args:
        name: one of the names.
        names: all that are cleaned together.
    """
    names = sorted(set(names) | {name}, key=lambda each: (clean_file_name(each) != each, each))
    taken: set[str] = set()
    for each in names:
        cleaned = clean_file_name(each)
        candidates = (
            cleaned if number == 1 else f"{cleaned}-{number}" for number in range(1, len(names) + 1)
        )
        unique = next(candidate for candidate in candidates if candidate.lower() not in taken)
        taken.add(unique.lower())
        if each == name:
            return unique
    raise AssertionError("the name is among the names")


def object_file_name(obj: bpy.types.Object) -> str:
    """An object's name in file names; no other mesh object of the file has the same."""
    cleaned = clean_file_name(obj.name).lower()
    similar = (
        other.name
        for other in bpy.data.objects
        if other.type == "MESH" and clean_file_name(other.name).lower().startswith(cleaned)
    )
    return unique_file_name(obj.name, similar)


def resolve_path(path: str | Path, library: bpy.types.Library | None = None) -> Path:
    """The absolute path for one in Blender's notation, in which ``//`` is the .blend's folder.

    Raises:
        InvalidSettings: it is relative to a file that was never saved.
    """
    path = str(path)
    if path.startswith("//") and not (bpy.data.filepath or library):
        raise InvalidSettings(
            f"{path} is relative to this file, which was never saved. Save the file first, or choose an "
            "absolute path."
        )
    return Path(bpy.path.abspath(path, library=library)).expanduser()
