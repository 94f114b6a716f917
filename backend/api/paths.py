"""The folders of Orbit Texture on this machine. Standard library only, since install.py imports it before
anything is installed."""

import contextlib
import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The extension's source tree, which holds ``addon/`` and ``backend/``."""

_MANIFEST = ROOT / "blender_manifest.toml"

VERSION: str = tomllib.loads(_MANIFEST.read_text(encoding="utf-8"))["version"]


def _manifest_identity() -> tuple[int, ...] | None:
    """The identity of the manifest file. Every installation writes a new one, even of the same version."""
    with contextlib.suppress(OSError):
        status = _MANIFEST.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
    return None


_MANIFEST_AT_START = _manifest_identity()


def was_reinstalled() -> bool:
    """Whether the tree was reinstalled since this process started, so that it may no longer import or start
    files from it. False while there is no tree, since an installation may be about to write it."""
    return _manifest_identity() not in (_MANIFEST_AT_START, None)


def home() -> Path:
    """The folder of all our files: ``$ORBIT_TEXTURE_HOME`` or the platform's folder for application data."""
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


ENVIRONMENT_STAMP = "orbit-texture.json"
"""Name of the file in an environment that records what was installed. It has ``complete`` only after all."""


def backend_environment() -> Path:
    """The private environment that ``install.py backend`` creates."""
    return home() / "environment"


def environment_base_python() -> Path | None:
    """The interpreter that :func:`backend_environment` was made with; None if there is no such file."""
    with contextlib.suppress(OSError):
        # venv writes the executable there since Python 3.11.
        config = (backend_environment() / "pyvenv.cfg").read_text(encoding="utf-8")
        found = re.search(r"^executable *= *(.+)$", config, re.MULTILINE)
        if found and (python := Path(found[1].strip())).is_file():
            return python
    return None


def models() -> Path:
    """The folder of the models' weights: ``$ORBIT_TEXTURE_MODELS``, or ``models`` in :func:`home`."""
    chosen = os.environ.get("ORBIT_TEXTURE_MODELS")
    return Path(chosen).expanduser().resolve() if chosen else home() / "models"


def run_directory() -> Path:
    """The folder of the server's connection file, journal and job folders."""
    return home() / "run"
