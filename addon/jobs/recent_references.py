"""The image files that were chosen as references last, in any .blend file. Kept in memory, since a panel that
draws must not read files."""

import contextlib
import json
from pathlib import Path

from ...backend.api import paths

MAX_COUNT = 10

_recent: list[str] = []


def list_recent() -> list[str]:
    """The paths of the files, the last one first; they may no longer exist."""
    return _recent


def add_recent(file: Path) -> None:
    """Puts a file first. The list is stored in our folder if that can be written."""
    refresh()
    _recent[:] = [str(file), *(other for other in _recent if other != str(file))][:MAX_COUNT]
    with contextlib.suppress(OSError):
        _list_file().parent.mkdir(parents=True, exist_ok=True)
        _list_file().write_text(json.dumps(_recent, indent=1), encoding="utf-8")


def refresh() -> None:
    """Reads the list again; it is empty if there is none or it is damaged."""
    found = []
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(_list_file().read_text(encoding="utf-8"))
    is_list = isinstance(found, list) and all(isinstance(file, str) for file in found)
    _recent[:] = found[:MAX_COUNT] if is_list else []


def _list_file() -> Path:
    return paths.home() / "recent_references.json"


def register() -> None:
    refresh()


def unregister() -> None:
    _recent.clear()
