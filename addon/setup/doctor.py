"""What is installed, what is missing and the command that fixes it, as the backend's environment reports
it."""

import json
import subprocess

import bpy

from ...backend.api import paths
from ...backend.api.shell_commands import install_command

_TIMEOUT_SECONDS = 180.0
"""Importing everything may take a minute on a slow disk."""


def examine() -> list[dict]:
    """The findings in the format of ``python -m backend doctor --json``: ``name``, ``state`` (ok, warning,
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
                "backend",
                "problem",
                f"is not installed in {paths.backend_environment()}",
                install_command("backend"),
            )
        ]
    try:
        done = subprocess.run(
            [str(python), "-E", "-s", "-m", "backend", "doctor", "--json"],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return [
            _finding(
                "backend",
                "problem",
                f"its Python does not run: {error}",
                install_command("backend", "--anew"),
            )
        ]


def _finding(name: str, state: str, detail: str, fix: str = "") -> dict:
    return {"name": name, "state": state, "detail": detail, "fix": fix}
