"""Downloads one file from a server: what has arrived is kept when the connection breaks, and a file gets its
final name only after its hash was checked.

huggingface_hub's own downloads, in the version that we pin, start a file over after a failure (each writes to
a temporary name and deletes it when it fails), which costs hours for a file of 28 GB. Hence its inner
``http_get``, which resumes at the end of a file.
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
from .manifest import RemoteFile, report_network_errors

_HASH_CHUNK_BYTES = 1 << 23
"""Bytes of a file that are read and hashed at a time."""

ReportBytes = Callable[[int], None]
"""Called with the number of bytes that have arrived since the last call; negative if bytes were discarded.
May raise to stop."""


def bytes_present(file: RemoteFile, folder: Path) -> int:
    """Bytes of a file that a folder holds, checked or partial."""
    target = folder / file.relative_path
    for path in (target, _partial_path(target)):
        with contextlib.suppress(FileNotFoundError):
            return min(path.stat().st_size, file.size)
    return 0


def mark_unchecked(file: RemoteFile, folder: Path) -> None:
    """Renames a downloaded file to its partial name, so that :func:`fetch_file` checks its hash again."""
    target = folder / file.relative_path
    if target.is_file():
        target.replace(_partial_path(target))


def fetch_file(file: RemoteFile, folder: Path, report: ReportBytes) -> Path:
    """Downloads what is missing of a file, checks its hash, and returns its path in the folder.

    Args:
        report: of bytes beyond those that are :func:`bytes_present`.

    Raises:
        DownloadFailed: the server cannot be reached or sends less than the file.
        InvalidWeights: what arrived is not the file; it has been deleted.
        StorageError: the folder cannot be written.
    """
    target = folder / file.relative_path
    if target.is_file() and target.stat().st_size == file.size:
        return target
    partial_path = _partial_path(target)
    with store.convert_write_errors(partial_path):
        partial_path.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        # A partial file larger than the file is of something else.
        if partial_path.exists() and partial_path.stat().st_size > file.size:
            partial_path.unlink()
            report(-file.size)
        with _CountingFile(partial_path, report) as stream:
            if stream.tell() < file.size:
                _resume_download(file, stream)
            os.fsync(stream.fileno())
        if damage := find_damage(file, partial_path, report):
            partial_path.unlink()
            raise InvalidWeights(f"{damage} It has been deleted: run the command again.", "retry")
        partial_path.replace(target)
    return target


def find_damage(file: RemoteFile, path: Path, report: ReportBytes) -> str:
    """A sentence if the hash of a file at ``path`` is not that of ``file``; "" if it is or is unknown.
    ``report`` is called with 0 bytes, so that it can stop this."""
    if not file.digest:
        return ""
    kind, expected = file.digest.split(":")
    # Git hashes a blob with a header before it.
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as stream:
        for chunk in iter(partial(stream.read, _HASH_CHUNK_BYTES), b""):
            digest.update(chunk)
            report(0)
    found = digest.hexdigest()
    if found == expected:
        return ""
    return (
        f"{file.relative_path.as_posix()} is another file than it should be: its {kind} hash is {found} "
        f"instead of {expected}."
    )


def _resume_download(file: RemoteFile, stream: "_CountingFile") -> None:
    """Appends the rest of a file to the stream."""
    # The token is for the Hub only.
    headers = {} if file.address else build_hf_headers()
    disable_progress_bars()
    name = file.relative_path.as_posix()
    with report_network_errors(name):
        try:
            http_get(file.url, stream, resume_size=stream.tell(), headers=headers, expected_size=file.size)
        except OSError as error:
            # http_get reports a file that ends too early with an OSError of its own.
            if error.errno is not None or not str(error).startswith("Consistency check"):
                raise
            raise DownloadFailed(
                f"{name}: the server gave {stream.tell()} of {file.size} bytes. What has arrived is kept: "
                "run the command again.",
                "retry",
            ) from error


def _partial_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


class _CountingFile(io.FileIO):
    """A file to append to, which reports the bytes written."""

    def __init__(self, path: Path, report: ReportBytes):
        super().__init__(path, "r+b" if path.exists() else "w+b")
        self._report = report
        self.seek(0, io.SEEK_END)

    def write(self, chunk: bytes) -> int:
        view = memoryview(chunk)
        # A raw file may write less than it is given.
        while view:
            view = view[super().write(view) :]
        self._report(len(chunk))
        return len(chunk)

    def truncate(self, size: int | None = None) -> int:
        """Discards what the server is about to send again."""
        end = self.tell() if size is None else size
        self._report(end - self.seek(0, io.SEEK_END))
        self.seek(end)
        return super().truncate(end)
