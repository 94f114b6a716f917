"""Log files that do not grow without bound."""

import contextlib
from pathlib import Path

_MAX_BYTES = 4 * 2**20
"""A log file larger than this is cut."""

_KEPT_BYTES = 1 * 2**20
"""Bytes of its end that are kept."""


def truncate_log(path: Path) -> None:
    """Cuts a log file that is too long down to its end. A process that appends to it may continue."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > _MAX_BYTES:
            with open(path, "r+b") as file:
                file.seek(-_KEPT_BYTES, 2)
                end = file.read()
                file.seek(0)
                file.write(end)
                file.truncate()
