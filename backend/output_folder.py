"""The folder that a command writes into: made and tried before the work, not found unwritable after it."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .api.errors import StorageError
from .store import convert_write_errors


@contextlib.contextmanager
def make_output_folder(folder: Path) -> Iterator[None]:
    """Context manager that creates a folder, with its parents, and removes them again if the work inside
    fails and has left them empty.

    Raises:
        StorageError: it cannot be created or written, at once or while the work writes into it.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    if in_the_way := next((place for place in (folder, *folder.parents) if place.is_file()), None):
        raise StorageError(f"{in_the_way} is a file, not a folder. Choose another output.")
    try:
        with convert_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            yield
    except BaseException:
        for place in missing:
            with contextlib.suppress(OSError):  # it holds what was finished
                place.rmdir()
        raise


def check_output_file(file: Path) -> None:
    """Raises :class:`StorageError` if a folder has the name of the file to be written."""
    if file.is_dir():
        raise StorageError(f"{file} is a folder. Choose another name for the output.")
