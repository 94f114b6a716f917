"""What is to be brought for a model's weights, how much that is, and the room that it takes. Nothing is
written here."""

from pathlib import Path

from huggingface_hub import hf_hub_url, is_offline_mode

from ..api.errors import InvalidWeights
from ..api.weights import Needs, Source, gigabytes
from .fetch import present
from .manifest import File, Manifest, ask

MUCH_MORE = 1.25
"""A download is larger than its list says if it is so by this factor."""

_PROMPTS_BYTES = 20_000_000


def workplace(target: Path) -> Path:
    """Where everything is until the folder ``target`` is whole: the manifest, the originals by repository and
    path, the finished parts."""
    return target.with_name(f"{target.name}.download")


def made(target: Path) -> Path:
    """The finished parts."""
    return workplace(target) / "made"


def look(needs: Needs, target: Path, offline: Path | None = None) -> Manifest:
    """What there is to bring. Nothing is downloaded yet, and nothing written.

    Args:
        offline: a folder with all files, by repository and path, and their manifest if it is there; None for
            the servers.

    Raises:
        DownloadFailed: a server cannot be reached, or lacks something.
        InvalidWeights: files are missing, and no server may be asked.
    """
    folder = offline or workplace(target)
    pinned = Manifest.read(folder, needs)
    if offline or is_offline_mode():
        wanted = [
            file
            for part in (needs.parts if offline else unfinished(needs, target))
            for file in needs.parts[part]
        ]
        if missing := [
            (source, path) for source, path in wanted if not (folder / source.repository / path).is_file()
        ]:
            why = "" if offline else "HF_HUB_OFFLINE is set, so nothing is downloaded. "
            raise InvalidWeights(
                "\n".join(
                    [
                        f"{why}These files are missing in {folder}:",
                        *(
                            f"  {source.repository}/{path}\n    from {_origin(source, path)}"
                            for source, path in missing
                        ),
                        f"Put each there under the name that the list shows, then run: {needs.command} "
                        f"--from {folder}",
                    ]
                )
            )
        return pinned or _found(needs, folder)
    return pinned or ask(needs)


def surprise(needs: Needs, manifest: Manifest) -> str:
    """What a server says that the user of our list could not know, as a sentence; "" if nothing."""
    for source in needs.sources:
        if (stated := manifest.licenses.get(source.repository, "")) not in ("", source.license):
            return (
                f"{source.repository} is under the licence '{stated}' now, not '{source.license}' as this "
                "version of Orbit Texture says."
            )
    if manifest.size > MUCH_MORE * needs.size:
        return (
            f"The files take {gigabytes(manifest.size)}, not {gigabytes(needs.size)} as this version of "
            "Orbit Texture says."
        )
    return ""


def left(needs: Needs, manifest: Manifest, target: Path) -> int:
    """Bytes that are still to be downloaded."""
    work = workplace(target)
    return sum(
        file.size - present(file, work)
        for part in unfinished(needs, target)
        for file in files_of(part, needs, manifest)
    )


def room(needs: Needs, manifest: Manifest, target: Path, offline: bool, keep: bool) -> int:
    """Bytes that the disk must have free."""
    work, used, peak = workplace(target), 0, 0
    for part in needs.parts if offline else unfinished(needs, target):
        files = files_of(part, needs, manifest)
        if not offline:
            used += sum(file.size - present(file, work) for file in files)
        used += bytes_of(part, files)
        peak = max(peak, used)
        if not (offline or keep):
            used -= sum(file.size for file in files)
    return peak


def unfinished(needs: Needs, target: Path) -> list[str]:
    """The parts that are still to be made."""
    return [part for part in needs.parts if not (made(target) / part).exists()]


def files_of(part: str, needs: Needs, manifest: Manifest) -> list[File]:
    """What a part is made of."""
    return [manifest.file(source, path) for source, path in needs.parts[part]]


def bytes_of(part: str, files: list[File]) -> int:
    """What a part takes, approximately."""
    return _PROMPTS_BYTES if part.startswith("prompts") else sum(file.size for file in files)


def _origin(source: Source, path: str) -> str:
    return f"{source.address}/{path}" if source.address else hf_hub_url(source.repository, path)


def _found(needs: Needs, folder: Path) -> Manifest:
    """A manifest of what is in a folder. Only what we pin has a hash; the conversion checks names, shapes and
    types of the rest."""
    files = []
    for source in needs.sources:
        for path in source.files:
            digest = f"sha256:{source.sha256[path]}" if path in source.sha256 else ""
            file = folder / source.repository / path
            files.append(File(source.repository, path, file.stat().st_size, digest, address=source.address))
    return Manifest(tuple(files), {})
