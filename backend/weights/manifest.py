"""The manifest: of which commit every file of a download is, its size and its hash."""

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
from ..api.weights import Needs, Source

FILE = "manifest.json"
_SECONDS = 20.0


@dataclass(frozen=True)
class File:
    """One file of a download.

    Attributes:
        repository, path: where it is there, and under the folder of the download.
        size: in bytes.
        digest: ``sha256:…``, or ``git:…``, git's hash of a blob, of a small file of which the Hub knows no
            other; "" if unknown.
        commit: of the repository on the Hub; "" at an own address.
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
        """Where to get it; of the Hub, at ``HF_ENDPOINT``."""
        return (
            f"{self.address}/{self.path}"
            if self.address
            else hf_hub_url(self.repository, self.path, revision=self.commit)
        )

    @property
    def place(self) -> Path:
        """Where it lies, relative to the folder."""
        return Path(self.repository, self.path)


@dataclass(frozen=True)
class Manifest:
    """What a download consists of.

    Attributes:
        files: all of them.
        licenses: by repository, as its server states it; "" where it does not.
    """

    files: tuple[File, ...]
    licenses: dict[str, str]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def file(self, source: Source, path: str) -> File:
        """The file of a repository."""
        return next(file for file in self.files if (file.repository, file.path) == (source.repository, path))

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{FILE}.part"
        unfinished.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        unfinished.replace(folder / FILE)

    @staticmethod
    def read(folder: Path, needs: Needs) -> "Manifest | None":
        """The manifest of a folder; None if there is none, or one of other needs."""
        try:
            data = json.loads((folder / FILE).read_text(encoding="utf-8"))
            manifest = Manifest(tuple(File(**file) for file in data["files"]), data["licenses"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise DownloadFailed(
                f"{folder / FILE} cannot be read ({error}). Delete it, then run: {needs.command}"
            ) from error
        wanted = {(source.repository, path) for source in needs.sources for path in source.files}
        return manifest if {(file.repository, file.path) for file in manifest.files} == wanted else None


def ask(needs: Needs) -> Manifest:
    """What the servers have today. ``HF_ENDPOINT`` and ``HF_TOKEN`` mean what they mean to huggingface_hub.

    Raises:
        DownloadFailed: a server cannot be reached, or lacks something.
    """
    files, licenses = [], {}
    for source in needs.sources:
        if source.address:
            files += [
                File(source.repository, path, size, f"sha256:{source.sha256[path]}", address=source.address)
                for path, size in source.files.items()
            ]
            licenses[source.repository] = source.license
        else:
            found, licenses[source.repository] = _ask_hub(source)
            files += found
    return Manifest(tuple(files), licenses)


def _ask_hub(source: Source) -> tuple[list[File], str]:
    with network(source.repository):
        model = HfApi().model_info(source.repository, files_metadata=True, timeout=_SECONDS)
    there = {entry.rfilename: entry for entry in model.siblings or ()}
    files = []
    for path in source.files:
        if path not in there:
            raise DownloadFailed(
                f"{source.repository} has no file '{path}' any more. Update Orbit Texture, which may know "
                "its new name."
            )
        entry = there[path]
        hub = f"sha256:{entry.lfs.sha256}" if entry.lfs else f"git:{entry.blob_id}"
        digest = f"sha256:{source.sha256[path]}" if path in source.sha256 else hub
        files.append(File(source.repository, path, entry.size, digest, model.sha))
    return files, str(getattr(model.card_data, "license", None) or "")


@contextmanager
def network(what: str) -> Iterator[None]:
    """Turns what goes wrong on the way to a server into a sentence.

    Args:
        what: is asked for.

    Raises:
        DownloadFailed: something went wrong.
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
            raise DownloadFailed(f"{what} cannot be asked for: HF_HUB_OFFLINE is set. Unset it.") from error
        status = getattr(getattr(error, "response", None), "status_code", "")
        cause = f"the server answers {status}" if status else f"{type(error).__name__}: {error}"
        raise DownloadFailed(
            f"{what} cannot be downloaded ({cause}). What has arrived is kept: when the connection works "
            "again, start the download again.",
            "retry",
        ) from error
