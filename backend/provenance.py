"""Where a texture comes from: all that determines it, in the report and in each of its PNG files, so that it
can be made again."""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .api.errors import InvalidSettings
from .api.job import KEEP_PREFIX, PICTURE_PREFIX, Job
from .api.paths import VERSION, models
from .api.settings import Settings
from .api.weights import list_mask_models

MANIFEST_FILE = "manifest.json"
"""In a model's folder, the list of the files that it was made from, see :mod:`backend.weights.manifest`."""

KEYWORD = b"OrbitTexture"
"""Of the text in a PNG file."""

_SIGNATURE_AND_HEADER = 33
"""Bytes of a PNG file before its second chunk."""


def describe_origin(job: Job) -> dict:
    """What a job's result depends on, as plain data for JSON: version, hashes of image, mesh and mask, the
    relevant settings with the seed, and the files of the models that may take part."""
    arrays = job.arrays()
    groups = {name: {} for name in ("image", "mask", "region", "mesh")}
    kinds = {"reference": "image", "side": "image", "mask": "mask", "strokes": "mask", "region": "region"}
    for name, array in sorted(arrays.items()):
        # The textures to keep and the further pictures have several arrays each.
        prefix = name.partition(".")[0] + "."
        group = {KEEP_PREFIX: "region", PICTURE_PREFIX: "image"}.get(prefix, "mesh")
        groups[kinds.get(name, group)][name] = array
    return {
        "version": VERSION,
        **{f"{group}_sha256": _hash_arrays(found) for group, found in groups.items() if found},
        "settings": job.settings.relevant(),
        "models": {name: _list_files(models() / name) for name in _models_of(job)},
    }


def stamp_png(png: np.ndarray, origin: dict) -> np.ndarray:
    """(N,) uint8: a PNG file (M,) uint8 with its origin as text."""
    content = b"tEXt" + KEYWORD + b"\0" + json.dumps(origin, sort_keys=True).encode("ascii")
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    head, rest = png[:_SIGNATURE_AND_HEADER], png[_SIGNATURE_AND_HEADER:]
    return np.concatenate([head, np.frombuffer(chunk, np.uint8), rest])


def read_origin(path: Path) -> dict:
    """The origin in a texture's PNG file, or in a ``report.json``.

    Raises:
        InvalidSettings: it holds none.
    """
    try:
        data = path.read_bytes()
        if data[:4] == b"\x89PNG":
            origin = json.loads(_read_text(data))
        else:
            origin = json.loads(data)["origin"]
        Settings.from_dict({**origin["settings"]})
        return origin
    except (OSError, ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise InvalidSettings(
            f"{path} does not say how it was made. Choose a PNG or a report.json that Orbit Texture has "
            "written."
        ) from error


def check_same(origin: dict, job: Job) -> None:
    """Raises :class:`InvalidSettings` if a job's result would not be the one of that origin."""
    now = describe_origin(job)
    words = {
        "version": "version of Orbit Texture",
        "image_sha256": "reference image",
        "mesh_sha256": "mesh",
        "mask_sha256": "mask",
        "region_sha256": "region or texture to keep",
        "settings": "setting",
        "models": "files of the models",
    }
    if other := [word for key, word in words.items() if origin.get(key) != now.get(key)]:
        raise InvalidSettings(
            f"The texture was made with another {', another '.join(other)}. Give the same, or leave out "
            "--repeat."
        )


def _models_of(job: Job) -> Iterable[str]:
    """Names of the installed models that may take part in a job."""
    names = [job.settings.painter] if job.settings.networks & {"paint"} else []
    names += ["trellis2"] if job.settings.refines else []
    names += list_mask_models() if job.mask is None else []
    return [name for name in names if (models() / name).is_dir()]


def _list_files(folder: Path) -> list[str]:
    """What a model was made from, a line per file: repository, commit, path and hash; without the list that
    its installation writes, its own files with their sizes."""
    try:
        files = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["files"]
        return sorted(f"{f['repository']}@{f['commit']}/{f['path']} {f['digest']}" for f in files)
    except (OSError, ValueError, KeyError, TypeError):
        found = (path for path in folder.rglob("*") if path.is_file())
        return sorted(f"{path.relative_to(folder).as_posix()} {path.stat().st_size} bytes" for path in found)


def _hash_arrays(arrays: dict[str, np.ndarray]) -> str:
    """The hash of a file's bytes if that is all there is, so that other programs find it, too; else of all
    arrays with their names and shapes."""
    if set(arrays) == {"reference"} and arrays["reference"].ndim == 1:
        return hashlib.sha256(arrays["reference"]).hexdigest()
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _read_text(data: bytes) -> bytes:
    """Our text in a PNG file; KeyError if it has none."""
    at = 8
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + size]
        if kind == b"tEXt" and content.startswith(KEYWORD + b"\0"):
            return content[len(KEYWORD) + 1 :]
        at += 12 + size
    raise KeyError(KEYWORD)
