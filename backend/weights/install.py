"""Installs a model's weights: downloads and converts one component of its folder after the other, so that the
disk holds the originals of one at a time.

A finished component is kept when a later one fails or the user stops. The folder that the model is read from
appears at the end, complete.
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
from ..api.weights import WeightsSpec, format_size
from ..progress import JobProgress
from .fetch import ReportBytes, bytes_present, fetch_file, find_damage, mark_unchecked
from .manifest import Manifest, RemoteFile
from .plan import (
    component_files,
    component_size,
    components_folder,
    download_folder,
    missing_components,
    peak_disk_space,
)

_CONVERT_COST = 0.1
"""Time to convert a byte, relative to the time to download one, for the progress bar."""


def install(
    spec: WeightsSpec,
    manifest: Manifest,
    target: Path,
    progress: JobProgress,
    offline: Path | None = None,
    keep: bool = False,
    **options,
) -> None:
    """Downloads and converts the files of a manifest, see :func:`backend.weights.plan.resolve_manifest`. The
    user has agreed to it.

    Args:
        target: the model's folder; an older one is kept until the new one is complete.
        offline: see :func:`backend.weights.plan.resolve_manifest`; its files are kept.
        keep: keep the downloaded files and the manifest in :func:`backend.weights.plan.download_folder`,
            which can then be given as ``offline``.
        options: of the conversion, see :func:`backend.paint.orbitpainter.convert.convert_expert`.

    Raises:
        StorageError: there is too little disk space, or the folder cannot be written.
        DownloadFailed, InvalidWeights: a file could not be downloaded or is not what it should be; everything
            intact is kept for the next run.
    """
    _check_space(peak_disk_space(spec, manifest, target, bool(offline), keep), target)
    downloads, converted = download_folder(target), components_folder(target)
    with store.convert_write_errors(target):
        downloads.mkdir(parents=True, exist_ok=True)
        with _lock_target(target):
            _discard_stale(spec, manifest, target, offline)
            converted.mkdir(exist_ok=True)
            _install_components(spec, manifest, target, progress, offline, keep, options)
            _check_converted(spec, converted)
            manifest.write(converted)  # Textures name the files that their models were made from.
            # Replace the model's folder by the new one.
            shutil.rmtree(target, ignore_errors=True)
            converted.rename(target)
            # Clean up.
            if offline:
                # The folder may hold files that the user put there.
                with contextlib.suppress(OSError):
                    downloads.rmdir()
            elif not keep:
                shutil.rmtree(downloads, ignore_errors=True)


def _discard_stale(spec: WeightsSpec, manifest: Manifest, target: Path, offline: Path | None) -> None:
    """Discards converted components that may be of other files, and has earlier downloads checked again."""
    downloads, converted = download_folder(target), components_folder(target)
    if offline:
        shutil.rmtree(converted, ignore_errors=True)
    elif Manifest.read(downloads, spec) != manifest:
        shutil.rmtree(converted, ignore_errors=True)
        for file in manifest.files:
            mark_unchecked(file, downloads)
        manifest.write(downloads)


def _install_components(
    spec: WeightsSpec,
    manifest: Manifest,
    target: Path,
    progress: JobProgress,
    offline: Path | None,
    keep: bool,
    options: dict,
) -> None:
    """Downloads and converts every missing component; its originals are then deleted, unless they are
    kept."""
    downloads, converted = download_folder(target), components_folder(target)
    components = {
        component: component_files(component, spec, manifest)
        for component in missing_components(spec, target)
    }
    files_to_get = [file for files in components.values() for file in files]
    present = 0 if offline else sum(bytes_present(file, downloads) for file in files_to_get)
    tally = _ProgressTally(components, present, progress)
    get_file = partial(_check_file, folder=offline) if offline else partial(fetch_file, folder=downloads)
    for component, files in components.items():
        paths = [get_file(file, report=tally.add_bytes) for file in files]
        make = _import_converter(spec).make
        tally.convert(
            component,
            files,
            partial(make, component, paths, offline or downloads, converted, **options),
        )
        if not (offline or keep):
            for path in paths:
                path.unlink()


def _check_converted(spec: WeightsSpec, converted: Path) -> None:
    """Opens every converted file once; if one is bad, all are deleted and InvalidWeights is raised."""
    try:
        check(spec, converted)
    except InvalidWeights:
        shutil.rmtree(converted)
        raise


def copy_gated_files(spec: WeightsSpec, folder: Path, target: Path) -> None:
    """Copies the user's own files of gated repositories to where the download looks for them; it checks them.

    Raises:
        InvalidWeights: the folder lacks one.
        StorageError: they cannot be written.
    """
    for source in spec.sources:
        for path in source.files if source.gated else ():
            if not (folder / path).is_file():
                raise InvalidWeights(f"{folder} has no file '{path}' of {source.repository}.")
            copy = download_folder(target) / source.repository / path
            with store.convert_write_errors(copy):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / path, copy)


def check(spec: WeightsSpec, target: Path) -> None:
    """Opens every file of a model's folder once.

    Raises:
        InvalidWeights: one is missing or damaged.
    """
    _import_converter(spec).check(target)


def is_installed(spec: WeightsSpec, target: Path) -> bool:
    """Whether the model can be read from this folder."""
    try:
        check(spec, target)
    except InvalidWeights:
        return False
    return True


class _ProgressTally:
    """Turns bytes into the fraction done of everything."""

    def __init__(self, components: dict[str, list[RemoteFile]], present: int, progress: JobProgress):
        self._total = sum(
            sum(file.size for file in files) + _CONVERT_COST * component_size(component, files)
            for component, files in components.items()
        )
        self._done, self._progress = float(present), progress
        self._report("download", 0)

    def add_bytes(self, size: int) -> None:
        """Counts bytes that have arrived."""
        self._done += size
        self._report("download", 0)

    def convert(
        self, component: str, files: list[RemoteFile], convert: Callable[[Callable[[float], None]], None]
    ) -> None:
        """Calls ``convert``, whose own progress counts for the component's share."""
        share = _CONVERT_COST * component_size(component, files)
        self._report("convert", 0)
        convert(progress=lambda fraction: self._report("convert", fraction * share))
        self._done += share

    def _report(self, step: str, more: float) -> None:
        self._progress(step, min((self._done + more) / max(self._total, 1), 1.0))


def _import_converter(spec: WeightsSpec):
    """The module that converts a model's files. It imports torch and diffusers, which takes seconds, so it is
    not imported before the user has agreed."""
    return import_module(f".{spec.name}", __package__)


def _check_file(file: RemoteFile, folder: Path, report: ReportBytes) -> Path:
    """The path of a file in a folder that must not be changed, after comparing its hash."""
    path = folder / file.relative_path
    if damage := find_damage(file, path, report):
        raise InvalidWeights(f"{damage} Download it again: {path}")
    report(file.size)
    return path


@contextlib.contextmanager
def _lock_target(target: Path) -> Iterator[None]:
    """Keeps a second process from writing the same files; the lock ends with the process."""
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


def _check_space(needed: int, target: Path) -> None:
    existing = next(folder for folder in target.parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise StorageError(
            f"The disk of {target} has {format_size(free)} free, and installing the weights takes up to "
            f"{format_size(needed)}. Free some space, or set ORBIT_TEXTURE_MODELS to a folder on a larger "
            "disk.",
            "retry",
        )
