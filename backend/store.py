"""A job and its result as plain files in the job's folder.

    <folder>/job/       job.json, one .npy per array, fingerprint; for a download download.json; ended
    <folder>/result/    result.json, corner_uvs.npy, one PNG per texture
    <folder>/…          the outputs of the pipeline's stages

The first two are written atomically: under another name first, then renamed. Each has ``checksums.json``, the
CRC-32 of its files, so that damage is noticed and never taken for content.
"""

import contextlib
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .api.errors import OrbitError, StorageError
from .api.faults import storage_error
from .api.job import Job, Result
from .api.paths import VERSION
from .api.weights import list_mask_models

PART = ".part"
"""What the name of a file or folder ends in that is still being written."""

_CHECKSUMS = "checksums.json"

_ENDED = "ended"
"""An empty file in the folder of a job that failed or was cancelled."""

_FINGERPRINT = "fingerprint"
"""Has no checksum: :func:`delete_stale_stages` replaces it, and a damaged one is only an unknown one."""


def save_job(folder: Path, job: Job) -> None:
    """Saves a job with a mesh. Raises :class:`StorageError`; then ``folder`` holds no job."""

    def write(temporary: Path) -> None:
        for name, array in job.arrays().items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        _write_json(temporary / "job.json", job.body())
        (temporary / _FINGERPRINT).write_text(fingerprint(job), encoding="ascii")

    _write_checked(folder / "job", write)


def load_job(folder: Path) -> Job:
    """The job that :func:`save_job` saved.

    Raises:
        StorageError: it is missing or damaged.
        ProtocolError, InvalidSettings, InvalidMesh: another version saved it, and this version rejects it.
    """
    source = folder / "job"
    with _convert_read_errors(source):
        _verify_checksums(source)
        body = json.loads((source / "job.json").read_text(encoding="utf-8"))
        arrays = {path.stem: np.load(path, allow_pickle=False) for path in sorted(source.glob("*.npy"))}
        return Job.from_parts(body, arrays)


def save_download(folder: Path, model: str) -> None:
    """Saves a job that downloads a model's weights and has no mesh. Raises :class:`StorageError`; then
    ``folder`` holds no job."""
    _write_checked(
        folder / "job", lambda temporary: _write_json(temporary / "download.json", {"model": model})
    )


def load_download(folder: Path) -> str:
    """The model whose weights the job in this folder downloads; "" if it is a job with a mesh. Raises
    :class:`StorageError`."""
    file = folder / "job" / "download.json"
    if not file.exists():
        return ""
    with _convert_read_errors(file):
        _verify_checksums(file.parent)
        return json.loads(file.read_text(encoding="utf-8"))["model"]


@dataclass(frozen=True)
class FoundJob:
    """What a job's folder tells about it.

    Attributes:
        name: of the object, or the model to download; "" if that cannot be read.
        has_result: whether its result is there.
        has_ended: whether it ended without one.
    """

    name: str
    has_result: bool
    has_ended: bool


def find_job(folder: Path) -> FoundJob | None:
    """The job in a folder; None if there is neither a job nor a result in it."""
    source, has_result = folder / "job", (folder / "result" / "result.json").exists()
    if not (has_result or source.is_dir()):
        return None
    name = ""
    for file, key in (("job.json", "name"), ("download.json", "model")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            name = str(json.loads((source / file).read_text(encoding="utf-8"))[key])
    return FoundJob(name, has_result, (source / _ENDED).exists())


def mark_ended(folder: Path, ended: bool) -> None:
    """Records with the job itself whether it ended without a result, in case the journal is lost."""
    file = folder / "job" / _ENDED
    with contextlib.suppress(OSError):
        if ended:
            file.touch()
        else:
            file.unlink(missing_ok=True)


def save_result(folder: Path, result: Result) -> None:
    """Saves a result. Raises :class:`StorageError`; then ``folder`` holds no result."""

    def write(temporary: Path) -> None:
        if result.corner_uvs is not None:
            np.save(temporary / "corner_uvs.npy", result.corner_uvs, allow_pickle=False)
        for name, data in result.textures.items():
            data.tofile(temporary / f"{name}.png")
        if result.sheet is not None:
            result.sheet.tofile(temporary / "sheet")
        _write_json(temporary / "result.json", result.report)

    _write_checked(folder / "result", write)


def load_result(folder: Path) -> Result:
    """The result that :func:`save_result` saved. Raises :class:`StorageError` if it is missing or damaged."""
    source = folder / "result"
    with _convert_read_errors(source):
        _verify_checksums(source)
        report = json.loads((source / "result.json").read_text(encoding="utf-8"))
        uvs = source / "corner_uvs.npy"
        textures = {path.stem: np.fromfile(path, np.uint8) for path in sorted(source.glob("*.png"))}
        sheet = np.fromfile(source / "sheet", np.uint8) if (source / "sheet").exists() else None
        return Result(np.load(uvs, allow_pickle=False) if uvs.exists() else None, textures, report, sheet)


def fingerprint(job: Job) -> str:
    """SHA-256 of everything that determines a job's result: its content, the relevant ones of its settings,
    the version of the pipeline, and which models there are to find the object with."""
    mask_models = list_mask_models() if job.mask is None else []
    basis = [VERSION, job.settings.relevant(), mask_models]
    digest = hashlib.sha256(json.dumps(basis, sort_keys=True).encode())
    for name, array in job.arrays().items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def copy_finished_stages(folder: Path, others: Iterable[Path]) -> None:
    """Copies into a new job's folder the finished stages of the first of ``others`` with the same
    fingerprint. What cannot be copied will be computed again."""
    with contextlib.suppress(OSError, StorageError):
        wanted = _read_fingerprint(folder)
        for other in others:
            if wanted and _read_fingerprint(other) == wanted:
                for path in _stage_files(other):
                    write_file_atomically(folder / path.name, partial(shutil.copyfile, path))
                return


def _read_fingerprint(folder: Path) -> bytes:
    """The fingerprint of the job in a folder; empty if there is none."""
    with contextlib.suppress(OSError):
        return (folder / "job" / _FINGERPRINT).read_bytes()
    return b""


def _stage_files(folder: Path) -> list[Path]:
    """The files that hold stages' outputs, complete ones only."""
    return [path for path in folder.iterdir() if path.is_file() and path.suffix != PART]


def delete_stale_stages(folder: Path, job: Job) -> None:
    """Deletes the stages' outputs in the folder of ``job`` if another version made them, since this version
    may compute or read them differently.

    Raises:
        StorageError: the folder cannot be written.
    """
    current = fingerprint(job)
    if _read_fingerprint(folder) == current.encode():
        return
    with convert_write_errors(folder):
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
    write_file_atomically(
        folder / "job" / _FINGERPRINT, lambda file: file.write_text(current, encoding="ascii")
    )


def folder_size(folder: Path) -> int:
    """Total bytes of all files in a folder, which may be deleted meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


@contextlib.contextmanager
def convert_write_errors(place: Path) -> Iterator[None]:
    """Context manager that converts an ``OSError`` while writing into ``place`` into a
    :class:`StorageError`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, place) from error


def write_atomically(target: Path, write: Callable[[Path], None]) -> None:
    """Creates or replaces the folder ``target`` atomically, with what ``write`` puts into the folder that it
    is given.

    Raises:
        StorageError: it cannot be written.
    """
    temporary = target.with_name(f"{target.name}{PART}")
    delete_path(temporary)
    try:
        with convert_write_errors(target.parent):
            temporary.mkdir(parents=True)
            write(temporary)
            for path in sorted(temporary.rglob("*")):
                flush_to_disk(path)
            delete_path(target)
            temporary.rename(target)
            flush_to_disk(target.parent)
    finally:
        delete_path(temporary)


def flush_to_disk(path: Path) -> None:
    """Waits until a file or the entries of a folder are on the disk, so that not even a power cut undoes
    them."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        # Some network file systems cannot do it for a folder.
        with contextlib.suppress(OSError) if is_folder else contextlib.nullcontext():
            os.fsync(handle)
    finally:
        os.close(handle)


def write_file_atomically(target: Path, write: Callable[[Path], None]) -> None:
    """Creates or replaces a file atomically by the one that ``write`` makes under the name that it is given.

    Raises:
        StorageError: it cannot be written; then nothing is left of it.
    """
    temporary = target.with_name(f"{target.name}{PART}")
    try:
        with convert_write_errors(target.parent):
            write(temporary)
            flush_to_disk(temporary)
            os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def delete_path(path: Path) -> None:
    """Deletes a file or a folder, if it is there and can be deleted."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()


@contextlib.contextmanager
def _convert_read_errors(source: Path) -> Iterator[None]:
    """Context manager that converts an error while reading from ``source`` into a :class:`StorageError`."""
    try:
        yield
    except (OrbitError, MemoryError):
        raise
    except Exception as error:  # what numpy and json raise at damaged files is not limited to a few kinds
        raise StorageError(f"The files in {source} are missing or damaged. Start the job again.") from error


def _write_checked(target: Path, write: Callable[[Path], None]) -> None:
    """Like :func:`write_atomically`, with a checksum of each file."""

    def write_with_checksums(temporary: Path) -> None:
        write(temporary)
        files = [path for path in sorted(temporary.iterdir()) if path.name != _FINGERPRINT]
        _write_json(temporary / _CHECKSUMS, {path.name: _checksum(path) for path in files})

    write_atomically(target, write_with_checksums)


def _verify_checksums(source: Path) -> None:
    """Raises ``ValueError`` or ``OSError`` if a file that :func:`_write_checked` wrote is damaged or
    missing."""
    file = source / _CHECKSUMS
    # Jobs of an earlier version have none.
    checksums = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name, checksum in checksums.items():
        if _checksum(source / name) != checksum:
            raise ValueError(f"{name} is damaged")


def _checksum(path: Path) -> int:
    """The CRC-32 of a file."""
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _write_json(path: Path, data: dict) -> None:
    """Raises ``ValueError`` for a number that JSON does not have."""
    path.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
