"""The command ``python -m backend download``: shows what it would download and under which terms, asks for
agreement, and installs."""

import time
from pathlib import Path

from ..api.errors import DownloadFailed
from ..api.weights import WeightsSpec, format_size
from ..progress import JobProgress
from .install import copy_gated_files, install, is_installed
from .manifest import Manifest
from .plan import bytes_to_download, find_deviation, peak_disk_space, resolve_manifest

_PRINT_SECONDS = 0.2
"""Shortest time between two updates of the progress line."""


def download(
    spec: WeightsSpec,
    target: Path,
    offline: Path | None,
    agreed: bool,
    keep: bool,
    gated: Path | None = None,
    **options,
) -> bool:
    """Installs a model unless it is installed; returns whether it is now.

    Args:
        target: the model's folder.
        offline: see :func:`backend.weights.plan.resolve_manifest`.
        agreed: to size and terms; else the user is asked in the terminal.
        keep: keep the downloaded files.
        gated: a folder with the files of gated repositories.
        options: of the conversion, see :func:`backend.paint.orbitpainter.convert.convert_expert`.

    Raises:
        OrbitError: see :func:`backend.weights.install.install`.
    """
    if target.exists() and is_installed(spec, target):
        print(f"The weights are in {target} already.")
        return True
    if gated:
        copy_gated_files(spec, gated, target)
    # Show the terms and ask.
    manifest = resolve_manifest(spec, target, offline)
    print(describe_download(spec, manifest, target, offline, keep))
    if deviation := find_deviation(spec, manifest):
        if agreed:
            # --yes agrees to our list, and to nothing else.
            raise DownloadFailed(f"{deviation} Look at its page, then run the command without --yes.")
        print(deviation)
    if not agreed and not _ask_agreement():
        print("Nothing was downloaded.")
        return False
    # Install.
    install(spec, manifest, target, _progress_printer(), offline, keep, **options)
    print(f"\nWritten: {target}")
    return True


def describe_download(
    spec: WeightsSpec, manifest: Manifest, target: Path, offline: Path | None, keep: bool
) -> str:
    """The text that the user is asked to agree to: repositories, sizes, licences, and the disk space
    needed."""
    lines = []
    for source in spec.sources:
        size = sum(file.size for file in manifest.files if file.repository == source.repository)
        lines.append(
            f"{source.repository:40} {format_size(size):>9}  "
            f"{manifest.licenses.get(source.repository) or source.license}"
        )
    lines += [f"  {source.repository} is gated." for source in spec.sources if source.gated]
    lines += [f"  {terms}" for terms in dict.fromkeys(source.terms for source in spec.sources)]
    if offline:
        lines.append(f"Everything is in {offline}.")
    else:
        to_download = bytes_to_download(spec, manifest, target)
        lines.append(f"To download: {format_size(to_download)} of {format_size(manifest.size)}.")
    space = peak_disk_space(spec, manifest, target, bool(offline), keep)
    lines.append(f"{target} needs up to {format_size(space)} of free space while it is installed.")
    return "\n".join(lines)


def _ask_agreement() -> bool:
    try:
        return input("Continue? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _progress_printer() -> JobProgress:
    """A progress callback that rewrites one line of the terminal."""
    last_step, last_time = "", 0.0

    def print_progress(step: str, fraction: float) -> None:
        nonlocal last_step, last_time
        if step != last_step or time.monotonic() - last_time > _PRINT_SECONDS:
            print(f"\r{step:9}{fraction:6.1%}", end="", flush=True)
            last_step, last_time = step, time.monotonic()

    return print_progress
