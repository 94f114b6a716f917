"""Where Orbit Texture keeps its files on this machine. Standard library only: install.py imports it before
anything is installed."""

import contextlib
import os
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The extension's tree: the folder that holds ``addon/`` and ``backend/``."""

_MANIFEST = ROOT / "blender_manifest.toml"

VERSION: str = tomllib.loads(_MANIFEST.read_text(encoding="utf-8"))["version"]


def _manifest_file() -> tuple[int, ...] | None:
    """Which file the manifest is: an installation writes a new one, also of the same version."""
    with contextlib.suppress(OSError):
        status = _MANIFEST.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
    return None


_AT_START = _manifest_file()


def was_reinstalled() -> bool:
    """The tree was installed anew since this process started, so what it has yet to import or to start is not
    its own.

    Not yet while there is no tree: an installation may be just about to write it.
    """
    return _manifest_file() not in (_AT_START, None)


def home() -> Path:
    """The folder of everything we write: ``$ORBIT_TEXTURE_HOME`` or the platform's place for application
    data."""
    if chosen := os.environ.get("ORBIT_TEXTURE_HOME"):
        return Path(chosen).expanduser().resolve()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "OrbitTexture"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "OrbitTexture"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "orbit-texture"


def environment_python(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def backend_environment() -> Path:
    """The private environment that ``install.py backend`` makes."""
    return home() / "environment"


def models() -> Path:
    """Where painters' weights are: ``$ORBIT_TEXTURE_MODELS``, or a folder in our home."""
    chosen = os.environ.get("ORBIT_TEXTURE_MODELS")
    return Path(chosen).expanduser().resolve() if chosen else home() / "models"


def run_directory() -> Path:
    """Where the server keeps its connection file, journal and job folders."""
    return home() / "run"
