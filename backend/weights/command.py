"""``python -m backend download``: says what it would download and under which terms, asks, and does it."""

import time
from pathlib import Path

from ..api.errors import DownloadFailed
from ..api.weights import Needs, gigabytes
from .install import Progress, install, installed, put_gated
from .manifest import Manifest
from .plan import left, look, room, surprise


def download(
    needs: Needs,
    target: Path,
    offline: Path | None,
    agreed: bool,
    keep: bool,
    gated: Path | None = None,
    **options,
) -> bool:
    """From nothing to a model that works; returns whether there is one now.

    Args:
        target: the model's folder.
        offline: see :func:`backend.weights.plan.look`.
        agreed: to size and terms; else the terminal is asked.
        keep: the downloaded files stay.
        gated: a folder with the files of the repositories that want to know who downloads them.
        options: of :func:`backend.paint.orbitpainter.convert.convert_expert`.

    Raises:
        OrbitError: see :func:`backend.weights.install.install`.
    """
    if target.exists() and installed(needs, target):
        print(f"The weights are in {target} already.")
        return True
    if gated:
        put_gated(needs, gated, target)
    manifest = look(needs, target, offline)
    print(offer(needs, manifest, target, offline, keep))
    if changed := surprise(needs, manifest):
        if agreed:
            raise DownloadFailed(f"{changed} Look at its page, then run the command without --yes.")
        print(changed)
    if not agreed and not _asked():
        print("Nothing was downloaded.")
        return False
    install(needs, manifest, target, _printed(), offline, keep, **options)
    print(f"\nWritten: {target}")
    return True


def offer(needs: Needs, manifest: Manifest, target: Path, offline: Path | None, keep: bool) -> str:
    """What the user is asked to agree to: repositories, sizes, licences, and the room that it takes."""
    lines = []
    for source in needs.sources:
        size = sum(file.size for file in manifest.files if file.repository == source.repository)
        lines.append(
            f"{source.repository:40} {gigabytes(size):>9}  "
            f"{manifest.licenses.get(source.repository) or source.license}"
        )
    lines += [f"  {source.repository} is gated." for source in needs.sources if source.gated]
    lines += [f"  {terms}" for terms in dict.fromkeys(source.terms for source in needs.sources)]
    if offline:
        lines.append(f"Everything is in {offline}.")
    else:
        lines.append(
            f"To download: {gigabytes(left(needs, manifest, target))} of {gigabytes(manifest.size)}."
        )
    lines.append(
        f"{target} needs up to {gigabytes(room(needs, manifest, target, bool(offline), keep))} of free space "
        "on the way."
    )
    return "\n".join(lines)


def _asked() -> bool:
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _printed() -> Progress:
    last, told = "", 0.0

    def tell(stage: str, fraction: float) -> None:
        nonlocal last, told
        if stage != last or time.monotonic() - told > 0.2:
            print(f"\r{stage:9}{fraction:6.1%}", end="", flush=True)
            last, told = stage, time.monotonic()

    return tell
