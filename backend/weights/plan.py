"""What a model's download consists of, how many bytes are left, and the disk space needed. Nothing is written
here."""

from pathlib import Path

from huggingface_hub import hf_hub_url, is_offline_mode

from ..api.errors import InvalidWeights
from ..api.shell_commands import install_command
from ..api.weights import Source, WeightsSpec, format_size
from .fetch import bytes_present
from .manifest import Manifest, RemoteFile, query_servers

SIZE_TOLERANCE = 1.25
"""Factor above the listed size from which a download counts as larger than the user has agreed to."""

_PROMPTS_BYTES = 20_000_000
"""Size of the embedded prompts, which are all that is kept of the text encoder."""


def download_folder(target: Path) -> Path:
    """The folder that holds everything until the folder ``target`` is complete: the manifest, the originals
    by repository and path, the converted components."""
    return target.with_name(f"{target.name}.download")


def components_folder(target: Path) -> Path:
    """The folder of the converted components."""
    return download_folder(target) / "made"


def resolve_manifest(spec: WeightsSpec, target: Path, offline: Path | None = None) -> Manifest:
    """The manifest of a download: the one of an earlier attempt, else what the servers have today. Nothing is
    downloaded or written yet.

    Args:
        offline: a folder with all files, by repository and path, and their manifest if it has one; None for
            the servers.

    Raises:
        DownloadFailed: a server cannot be reached, or lacks a file.
        InvalidWeights: files are missing, and no server may be queried.
    """
    folder = offline or download_folder(target)
    pinned = Manifest.read(folder, spec)
    if offline or is_offline_mode():
        _check_complete(
            spec, folder, spec.components if offline else missing_components(spec, target), offline
        )
        return pinned or _scan_folder(spec, folder)
    return pinned or query_servers(spec)


def _check_complete(spec: WeightsSpec, folder: Path, components, offline: Path | None) -> None:
    """Raises InvalidWeights, with a list, if a folder lacks files of some components."""
    needed = [file for component in components for file in spec.components[component]]
    missing = [(source, path) for source, path in needed if not (folder / source.repository / path).is_file()]
    if not missing:
        return
    why = "" if offline else "HF_HUB_OFFLINE is set, so nothing is downloaded. "
    lines = [f"{why}These files are missing in {folder}:"]
    for source, path in missing:
        lines.append(f"  {source.repository}/{path}\n    from {_source_url(source, path)}")
    lines.append(
        "Put each there under the name that the list shows, then run: "
        + install_command("download", spec.name, "--from", str(folder))
    )
    raise InvalidWeights("\n".join(lines))


def find_deviation(spec: WeightsSpec, manifest: Manifest) -> str:
    """A sentence if the servers state another licence or a much larger size than our list, on which the user
    agreed; "" if not."""
    for source in spec.sources:
        if (stated := manifest.licenses.get(source.repository, "")) not in ("", source.license):
            return (
                f"{source.repository} is under the licence '{stated}' now, not '{source.license}' as this "
                "version of Orbit Texture says."
            )
    if manifest.size > SIZE_TOLERANCE * spec.size:
        return (
            f"The files take {format_size(manifest.size)}, not {format_size(spec.size)} as this version of "
            "Orbit Texture says."
        )
    return ""


def bytes_to_download(spec: WeightsSpec, manifest: Manifest, target: Path) -> int:
    """Bytes that are not downloaded yet."""
    folder = download_folder(target)
    return sum(
        file.size - bytes_present(file, folder)
        for component in missing_components(spec, target)
        for file in component_files(component, spec, manifest)
    )


def peak_disk_space(spec: WeightsSpec, manifest: Manifest, target: Path, offline: bool, keep: bool) -> int:
    """Bytes of free disk space that the installation needs at its peak."""
    folder, used, peak = download_folder(target), 0, 0
    for component in spec.components if offline else missing_components(spec, target):
        files = component_files(component, spec, manifest)
        if not offline:
            used += sum(file.size - bytes_present(file, folder) for file in files)
        used += component_size(component, files)
        peak = max(peak, used)
        if not (offline or keep):
            used -= sum(file.size for file in files)
    return peak


def missing_components(spec: WeightsSpec, target: Path) -> list[str]:
    """The components that are not converted yet."""
    return [
        component for component in spec.components if not (components_folder(target) / component).exists()
    ]


def component_files(component: str, spec: WeightsSpec, manifest: Manifest) -> list[RemoteFile]:
    """The files from which a component is made."""
    return [manifest.file(source, path) for source, path in spec.components[component]]


def component_size(component: str, files: list[RemoteFile]) -> int:
    """Bytes of a converted component, approximately."""
    return _PROMPTS_BYTES if component.startswith("prompts") else sum(file.size for file in files)


def _source_url(source: Source, path: str) -> str:
    return f"{source.address}/{path}" if source.address else hf_hub_url(source.repository, path)


def _scan_folder(spec: WeightsSpec, folder: Path) -> Manifest:
    """A manifest of the files in a folder. Only files that we pin have a hash; the conversion checks names,
    shapes and dtypes of the others' tensors."""
    files = []
    for source in spec.sources:
        for path in source.files:
            digest = f"sha256:{source.sha256[path]}" if path in source.sha256 else ""
            size = (folder / source.repository / path).stat().st_size
            files.append(RemoteFile(source.repository, path, size, digest, address=source.address))
    return Manifest(tuple(files), {})
