"""What is installed, what is missing and the command that mends it, asked of the backend's environment."""

import json
import subprocess
import sys

import bpy

from ...backend.api import paths

_PATIENCE = 180.0
"""Seconds: importing everything may take a minute on a slow disk."""


def install_command() -> str:
    """What a user runs in a terminal to get the backend's environment."""
    python = "py -3.11" if sys.platform == "win32" else "python3.11"
    return f'{python} "{paths.ROOT / "install.py"}" backend'


def examine() -> list[dict]:
    """The findings, as ``python -m backend doctor --json`` has them: ``name``, ``state`` (ok, warning,
    problem), ``detail`` and ``fix``.

    Never raises: an environment that does not run is a finding.
    """
    return [
        _finding("Orbit Texture", "ok", f"{paths.VERSION} in {paths.ROOT}"),
        _finding(
            "Blender", "ok", f"{bpy.app.version_string}, {'online' if bpy.app.online_access else 'offline'}"
        ),
        *_environment(),
    ]


def _environment() -> list[dict]:
    python = paths.environment_python(paths.backend_environment())
    if not python.exists():
        return [
            _finding(
                "backend", "problem", f"is not installed in {paths.backend_environment()}", install_command()
            )
        ]
    try:
        done = subprocess.run(
            [str(python), "-E", "-s", "-m", "backend", "doctor", "--json"],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return [_finding("backend", "problem", f"its Python does not run: {error}", install_command())]


def _finding(name: str, state: str, detail: str, fix: str = "") -> dict:
    return {"name": name, "state": state, "detail": detail, "fix": fix}
