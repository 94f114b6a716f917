"""The manifest of a download: commit, size and hash of every file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_url, is_offline_mode
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from ..api.errors import DownloadFailed
from ..api.weights import Source, WeightsSpec

MANIFEST_FILE = "manifest.json"
"""Name of the manifest in the folder of a download."""

_HUB_TIMEOUT_SECONDS = 20.0
"""Longest wait for an answer of the Hub about a repository."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a download.

    Attributes:
        repository, path: of the file on the server, and under the folder of the download.
        size: in bytes.
        digest: ``sha256:…``, or ``git:…`` for git's hash of a blob, which is all that the Hub states for
            small files; "" if unknown.
        commit: of the repository on the Hub; "" at an address of its own.
        address: see :class:`backend.api.weights.Source`.
    """

    repository: str
    path: str
    size: int
    digest: str
    commit: str = ""
    address: str = ""

    @property
    def url(self) -> str:
        """Its URL; on the Hub, under ``HF_ENDPOINT``."""
        return (
            f"{self.address}/{self.path}"
            if self.address
            else hf_hub_url(self.repository, self.path, revision=self.commit)
        )

    @property
    def relative_path(self) -> Path:
        """Its path in the folder of the download."""
        return Path(self.repository, self.path)


@dataclass(frozen=True)
class Manifest:
    """The files of a download.

    Attributes:
        files: all of them.
        licenses: by repository, as its server states it; "" where it states none.
    """

    files: tuple[RemoteFile, ...]
    licenses: dict[str, str]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def file(self, source: Source, path: str) -> RemoteFile:
        """The file of a repository."""
        return next(file for file in self.files if (file.repository, file.path) == (source.repository, path))

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        partial_path = folder / f"{MANIFEST_FILE}.part"
        partial_path.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        partial_path.replace(folder / MANIFEST_FILE)

    @staticmethod
    def read(folder: Path, spec: WeightsSpec) -> "Manifest | None":
        """The manifest of a folder; None if there is none, or one of other files than ``spec``'s."""
        try:
            data = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
            manifest = Manifest(tuple(RemoteFile(**file) for file in data["files"]), data["licenses"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise DownloadFailed(
                f"{folder / MANIFEST_FILE} cannot be read ({error}). Delete it, then run: {spec.command}"
            ) from error
        expected = {(source.repository, path) for source in spec.sources for path in source.files}
        return manifest if {(file.repository, file.path) for file in manifest.files} == expected else None


def query_servers(spec: WeightsSpec) -> Manifest:
    """The manifest of what the servers have today. ``HF_ENDPOINT`` and ``HF_TOKEN`` have huggingface_hub's
    meaning.

    Raises:
        DownloadFailed: a server cannot be reached, or lacks a file.
    """
    files, licenses = [], {}
    for source in spec.sources:
        if source.address:
            files += [
                RemoteFile(
                    source.repository, path, size, f"sha256:{source.sha256[path]}", address=source.address
                )
                for path, size in source.files.items()
            ]
            licenses[source.repository] = source.license
        else:
            found, licenses[source.repository] = _query_hub(source)
            files += found
    return Manifest(tuple(files), licenses)


def _query_hub(source: Source) -> tuple[list[RemoteFile], str]:
    """Files of a repository and the licence that its model card states."""
    with report_network_errors(source.repository):
        model = HfApi().model_info(source.repository, files_metadata=True, timeout=_HUB_TIMEOUT_SECONDS)
    entries = {entry.rfilename: entry for entry in model.siblings or ()}
    files = []
    for path in source.files:
        if path not in entries:
            raise DownloadFailed(
                f"{source.repository} has no file '{path}' any more. Update Orbit Texture, which may know "
                "its new name."
            )
        entry = entries[path]
        hub = f"sha256:{entry.lfs.sha256}" if entry.lfs else f"git:{entry.blob_id}"
        digest = f"sha256:{source.sha256[path]}" if path in source.sha256 else hub
        files.append(RemoteFile(source.repository, path, entry.size, digest, model.sha))
    return files, str(getattr(model.card_data, "license", None) or "")


@contextmanager
def report_network_errors(what: str) -> Iterator[None]:
    """Reports errors of the network and the Hub as :class:`DownloadFailed`, with what to do.

    Args:
        what: the repository or file that is requested, for the message.

    Raises:
        DownloadFailed: for any such error.
    """
    try:
        yield
    except GatedRepoError as error:
        raise DownloadFailed(
            f"{what}: its authors want to know who downloads it. Accept their terms on its page on "
            "huggingface.co, then set HF_TOKEN to a token of your account. Or download its files there "
            "yourself and run the command with --gated and their folder."
        ) from error
    except RepositoryNotFoundError as error:
        raise DownloadFailed(
            f"{what} is not there, or not public. If you have access to it, set HF_TOKEN to a token of your "
            "account."
        ) from error
    except (OfflineModeIsEnabled, HfHubHTTPError, httpx2.HTTPError) as error:
        if is_offline_mode():
            raise DownloadFailed(f"{what} cannot be requested: HF_HUB_OFFLINE is set. Unset it.") from error
        status = getattr(getattr(error, "response", None), "status_code", "")
        cause = f"the server answers {status}" if status else f"{type(error).__name__}: {error}"
        raise DownloadFailed(
            f"{what} cannot be downloaded ({cause}). What has arrived is kept: when the connection works "
            "again, start the download again.",
            "retry",
        ) from error
