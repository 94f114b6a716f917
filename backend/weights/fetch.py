"""One file from a server: what has arrived is kept when the way breaks, and nothing unchecked gets its name.

The downloads of huggingface_hub as we pin it begin a file anew after a failure (each writes to a name of its
own, which it deletes when it fails), which at 28 GB a file is hours. Hence its inner ``http_get``, which goes
on from where a file ends.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, disable_progress_bars

from .. import store
from ..api.errors import DownloadFailed, InvalidWeights
from .manifest import File, network

_CHUNK = 1 << 23

Tell = Callable[[int], None]
"""Told the bytes that were dealt with since the last call; may raise to stop."""


def present(file: File, folder: Path) -> int:
    """How many bytes of a file are in a folder, checked or still under way."""
    target = folder / file.place
    for path in (target, _unfinished(target)):
        with contextlib.suppress(FileNotFoundError):
            return min(path.stat().st_size, file.size)
    return 0


def doubt(file: File, folder: Path) -> None:
    """What is there of a file counts as unchecked from now on."""
    target = folder / file.place
    if target.is_file():
        target.replace(_unfinished(target))


def fetch(file: File, folder: Path, tell: Tell) -> Path:
    """Where the file is in the folder, after getting what is missing of it and comparing its hash.

    Args:
        tell: of what comes beyond what is :func:`present`.

    Raises:
        DownloadFailed: the server cannot be reached or gives less than the file.
        InvalidWeights: what arrived is not the file; it has been deleted.
        StorageError: the folder cannot be written.
    """
    target = folder / file.place
    if target.is_file() and target.stat().st_size == file.size:
        return target
    unfinished = _unfinished(target)
    with store.convert_write_errors(unfinished):
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if unfinished.exists() and unfinished.stat().st_size > file.size:
            unfinished.unlink()
            tell(-file.size)
        with _Counted(unfinished, tell) as stream:
            if stream.tell() < file.size:
                _get(file, stream)
            os.fsync(stream.fileno())
        if wrong := damage(file, unfinished, tell):
            unfinished.unlink()
            raise InvalidWeights(f"{wrong} It has been deleted: run the command again.", "retry")
        unfinished.replace(target)
    return target


def damage(file: File, path: Path, tell: Tell) -> str:
    """What is wrong with a file that should be ``file``; "" if nothing is known to be. ``tell`` is told of no
    bytes, but may raise."""
    if not file.digest:
        return ""
    kind, expected = file.digest.split(":")
    # Git hashes a blob with a header before it.
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as stream:
        for chunk in iter(partial(stream.read, _CHUNK), b""):
            digest.update(chunk)
            tell(0)
    found = digest.hexdigest()
    if found == expected:
        return ""
    return (
        f"{file.place.as_posix()} is another file than it should be: its {kind} hash is {found} instead of "
        f"{expected}."
    )


def _get(file: File, stream: "_Counted") -> None:
    # The token is for the Hub only.
    headers = {} if file.address else build_hf_headers()
    disable_progress_bars()
    with network(file.place.as_posix()):
        try:
            http_get(file.url, stream, resume_size=stream.tell(), headers=headers, expected_size=file.size)
        except OSError as error:
            if error.errno is not None or not str(error).startswith("Consistency check"):
                raise
            name = file.place.as_posix()
            raise DownloadFailed(
                f"{name}: the server gave {stream.tell()} of {file.size} bytes. What has arrived is kept: "
                "run the command again.",
                "retry",
            ) from error


def _unfinished(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


class _Counted(io.FileIO):
    """A file to go on writing, which tells what is written."""

    def __init__(self, path: Path, tell: Tell):
        super().__init__(path, "r+b" if path.exists() else "w+b")
        self._tell = tell
        self.seek(0, io.SEEK_END)

    def write(self, chunk: bytes) -> int:
        view = memoryview(chunk)
        # A raw file may take less than it is given.
        while view:
            view = view[super().write(view) :]
        self._tell(len(chunk))
        return len(chunk)

    def truncate(self, size: int | None = None) -> int:
        """Takes back what the server is about to send anew."""
        end = self.tell() if size is None else size
        self._tell(end - self.seek(0, io.SEEK_END))
        self.seek(end)
        return super().truncate(end)
