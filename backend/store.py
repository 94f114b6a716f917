"""A job and its result as plain files in the job's folder.

    <folder>/job/       job.json, one .npy per array, fingerprint; of a download only download.json
    <folder>/result/    result.json, corner_uvs.npy, one PNG per texture
    <folder>/…          what the stages of the pipeline leave there

Each of the two appears whole or not at all: it is written under another name first.
"""

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from .api.errors import StorageError
from .api.job import Job, Result
from .api.paths import VERSION


def save_job(folder: Path, job: Job) -> None:
    """Raises :class:`StorageError`; then ``folder`` holds no job."""

    def write(part: Path) -> None:
        for name, array in job.arrays().items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)
        _write_json(part / "job.json", job.body())
        (part / "fingerprint").write_text(fingerprint(job), encoding="ascii")

    write_atomically(folder / "job", write)


def load_job(folder: Path) -> Job:
    """The job that :func:`save_job` saved.

    Raises:
        StorageError: it is not there or damaged.
        ProtocolError, InvalidSettings, InvalidMesh: another version saved it, and this one refuses it.
    """
    source = folder / "job"
    with _readable(source):
        body = json.loads((source / "job.json").read_text(encoding="utf-8"))
        arrays = {path.stem: np.load(path, allow_pickle=False) for path in sorted(source.glob("*.npy"))}
        return Job.from_parts(body, arrays)


def save_download(folder: Path, model: str) -> None:
    """Saves the wish for a model's weights, which is a job without a mesh. Raises :class:`StorageError`; then
    ``folder`` holds no job."""
    write_atomically(folder / "job", lambda part: _write_json(part / "download.json", {"model": model}))


def load_download(folder: Path) -> str:
    """The model whose weights the job in this folder is to bring; "" if it is a job with a mesh. Raises
    :class:`StorageError`."""
    file = folder / "job" / "download.json"
    if not file.exists():
        return ""
    with _readable(file):
        return json.loads(file.read_text(encoding="utf-8"))["model"]


def save_result(folder: Path, result: Result) -> None:
    """Raises :class:`StorageError`; then ``folder`` holds no result."""

    def write(part: Path) -> None:
        if result.corner_uvs is not None:
            np.save(part / "corner_uvs.npy", result.corner_uvs, allow_pickle=False)
        for name, data in result.textures.items():
            data.tofile(part / f"{name}.png")
        if result.sheet is not None:
            result.sheet.tofile(part / "sheet")
        _write_json(part / "result.json", result.report)

    write_atomically(folder / "result", write)


def load_result(folder: Path) -> Result:
    """The result that :func:`save_result` saved. Raises :class:`StorageError` if it is not there or
    damaged."""
    source = folder / "result"
    with _readable(source):
        report = json.loads((source / "result.json").read_text(encoding="utf-8"))
        uvs = source / "corner_uvs.npy"
        textures = {path.stem: np.fromfile(path, np.uint8) for path in sorted(source.glob("*.png"))}
        sheet = np.fromfile(source / "sheet", np.uint8) if (source / "sheet").exists() else None
        return Result(np.load(uvs, allow_pickle=False) if uvs.exists() else None, textures, report, sheet)


def fingerprint(job: Job) -> str:
    """The same for two jobs exactly if this version of the pipeline would do the same for both, on whatever
    device."""
    settings = {name: value for name, value in job.settings.to_dict().items() if name != "device"}
    digest = hashlib.sha256(json.dumps([VERSION, settings], sort_keys=True).encode())
    for name, array in job.arrays().items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def copy_finished_stages(folder: Path, others: Iterable[Path]) -> None:
    """Gives a new job the finished stages of one of ``others`` that is the same but for its id, if there is
    one."""
    for other in others:
        with contextlib.suppress(OSError):
            if (other / "job" / "fingerprint").read_bytes() == (folder / "job" / "fingerprint").read_bytes():
                for path in other.iterdir():
                    if path.is_file():
                        shutil.copy2(path, folder)
                return


def delete_stale_stages(folder: Path, job: Job) -> None:
    """Deletes what the stages of ``job`` left in its folder, if that was before an update: this version may
    do or read it differently.

    Raises:
        StorageError: the folder cannot be written.
    """
    mark = folder / "job" / "fingerprint"
    try:
        if mark.read_text(encoding="ascii") != (own := fingerprint(job)):
            for path in folder.iterdir():
                if path.is_file():
                    path.unlink()
            mark.write_text(own, encoding="ascii")
    except OSError as error:
        raise storage_error(error, folder) from error


def folder_size(folder: Path) -> int:
    """Bytes in all files of a folder."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def storage_error(error: OSError, place: Path) -> StorageError:
    """What to tell the user when the operating system refuses to write into ``place``."""
    # numpy's complaint about a write that was cut short has no number.
    if error.errno in (errno.ENOSPC, errno.EDQUOT, None):
        return StorageError(
            f"The disk is full: {place} cannot be written. Free some space, then try again.", "retry"
        )
    return StorageError(
        f"{place} cannot be written ({error.strerror or error}). Mend its permissions, then try again.",
        "retry",
    )


@contextlib.contextmanager
def convert_write_errors(place: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write into ``place`` into a :class:`StorageError`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, place) from error


def write_atomically(target: Path, write: Callable[[Path], None]) -> None:
    """Makes the folder ``target`` of what ``write`` puts into the folder that it is given; there is all of it
    or nothing.

    Raises:
        StorageError: it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with convert_write_errors(target.parent):
            part.mkdir(parents=True)
            write(part)
            if target.exists():
                shutil.rmtree(target)
            part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"The files in {source} are missing or damaged. Start the job anew.") from error


def _write_json(path: Path, data: dict) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")
