"""Log files that do not grow without bound."""

import contextlib
from pathlib import Path

_LIMIT = 4 * 2**20
_KEEP = 1 * 2**20


def shrink(path: Path) -> None:
    """Cuts a log file that has become too long down to its end. A process that appends to it may go on doing
    so."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > _LIMIT:
            with open(path, "r+b") as file:
                file.seek(-_KEEP, 2)
                end = file.read()
                file.seek(0)
                file.write(end)
                file.truncate()
