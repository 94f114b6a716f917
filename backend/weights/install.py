"""A model's weights from nothing: fetched and converted part by part, so that the disk holds the originals of
one part at a time.

A part that is finished stays when a later one fails or the user stops; the folder that the model is read from
appears at the end, whole.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

from filelock import FileLock, Timeout

from .. import store
from ..api.errors import DownloadFailed, InvalidWeights, StorageError
from ..api.weights import Needs, gigabytes
from .fetch import damage, doubt, fetch, present
from .manifest import File, Manifest
from .plan import bytes_of, files_of, made, room, unfinished, workplace

_CONVERTED_BYTE = 0.1
"""What converting a byte takes, in bytes to download, for the bar of progress."""

Progress = Callable[[str, float], None]
"""Told what is being done and the fraction of everything that is done; may raise to stop."""


def install(
    needs: Needs,
    manifest: Manifest,
    target: Path,
    progress: Progress,
    offline: Path | None = None,
    keep: bool = False,
    **options,
) -> None:
    """Brings and converts what :func:`backend.weights.plan.look` found. The user has agreed to it.

    Args:
        target: the model's folder; what was there before stays until the new one is whole.
        offline: see :func:`backend.weights.plan.look`; its files stay.
        keep: leave the downloaded files and the manifest in the :func:`backend.weights.plan.workplace`, which
            is then such a folder itself.
        options: of :func:`backend.paint.orbitpainter.convert.convert_expert`.

    Raises:
        StorageError: there is too little room, or the folder cannot be written.
        DownloadFailed, InvalidWeights: what could not be brought or was not what it should be; what is good
            stays for the next run.
    """
    _check_room(room(needs, manifest, target, bool(offline), keep), target)
    work, parts_folder = workplace(target), made(target)
    with store.convert_write_errors(target):
        work.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if offline:
                # What an earlier run made may be of other files.
                shutil.rmtree(parts_folder, ignore_errors=True)
            elif Manifest.read(work, needs) != manifest:
                shutil.rmtree(parts_folder, ignore_errors=True)
                for file in manifest.files:
                    doubt(file, work)
                manifest.write(work)
            parts_folder.mkdir(exist_ok=True)
            parts = {part: files_of(part, needs, manifest) for part in unfinished(needs, target)}
            there = 0 if offline else sum(present(file, work) for files in parts.values() for file in files)
            tally = _Tally(parts, there, progress)
            for part, files in parts.items():
                bring = partial(_checked, folder=offline) if offline else partial(fetch, folder=work)
                paths = [bring(file, tell=tally.add) for file in files]
                tally.make(
                    part,
                    files,
                    partial(_maker(needs).make, part, paths, offline or work, parts_folder, **options),
                )
                if not (offline or keep):
                    for path in paths:
                        path.unlink()
            try:
                check(needs, parts_folder)
            except InvalidWeights:
                shutil.rmtree(parts_folder)
                raise
            shutil.rmtree(target, ignore_errors=True)
            parts_folder.rename(target)
            if offline:
                # It may be the user's own.
                with contextlib.suppress(OSError):
                    work.rmdir()
            elif not keep:
                shutil.rmtree(work, ignore_errors=True)


def put_gated(needs: Needs, folder: Path, target: Path) -> None:
    """Puts a user's own files of repositories that want to know who downloads them where a download finds
    them, and checks them then.

    Raises:
        InvalidWeights: the folder lacks one.
        StorageError: they cannot be written.
    """
    for source in needs.sources:
        for path in source.files if source.gated else ():
            if not (folder / path).is_file():
                raise InvalidWeights(f"{folder} has no file '{path}' of {source.repository}.")
            place = workplace(target) / source.repository / path
            with store.convert_write_errors(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / path, place)


def check(needs: Needs, target: Path) -> None:
    """Opens every file of a model's folder once.

    Raises:
        InvalidWeights: one is missing or damaged.
    """
    _maker(needs).check(target)


def installed(needs: Needs, target: Path) -> bool:
    """The model can be read from this folder."""
    try:
        check(needs, target)
    except InvalidWeights:
        return False
    return True


class _Tally:
    """Turns bytes into the fraction of everything that is done."""

    def __init__(self, parts: dict[str, list[File]], there: int, progress: Progress):
        self._total = sum(
            sum(file.size for file in files) + _CONVERTED_BYTE * bytes_of(part, files)
            for part, files in parts.items()
        )
        self._done, self._progress = float(there), progress
        self._tell("download", 0)

    def add(self, size: int) -> None:
        """So many bytes were brought."""
        self._done += size
        self._tell("download", 0)

    def make(self, part: str, files: list[File], make: Callable[[Callable[[float], None]], None]) -> None:
        """Calls ``make`` with what to tell its own progress to."""
        share = _CONVERTED_BYTE * bytes_of(part, files)
        self._tell("convert", 0)
        make(progress=lambda fraction: self._tell("convert", fraction * share))
        self._done += share

    def _tell(self, stage: str, more: float) -> None:
        self._progress(stage, min((self._done + more) / max(self._total, 1), 1.0))


def _maker(needs: Needs):
    # torch and diffusers take seconds to import, which the question to the user shall not wait for.
    return import_module(f".{needs.name}", __package__)


def _checked(file: File, folder: Path, tell: Callable[[int], None]) -> Path:
    """Where a file is in a folder that we may not change."""
    path = folder / file.place
    if wrong := damage(file, path, tell):
        raise InvalidWeights(f"{wrong} Download it again: {path}")
    tell(file.size)
    return path


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Two processes shall not write the same files; the lock ends with the process."""
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DownloadFailed(
            f"Another process is downloading {target.name} already. Wait for it, or cancel it."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _check_room(needed: int, target: Path) -> None:
    there = next(folder for folder in target.parents if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StorageError(
            f"The disk of {target} has {gigabytes(free)} free, and bringing the weights takes up to "
            f"{gigabytes(needed)}. Free some space, or set ORBIT_TEXTURE_MODELS to a folder on a larger "
            "disk.",
            "retry",
        )
