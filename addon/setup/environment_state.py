"""Whether the backend's environment is there and runs. Kept in memory, since a panel that draws must neither
read files nor wait. No bpy."""

import json
import subprocess
import threading
from enum import StrEnum

from ...backend.api import paths
from .install_process import clean_environment, hide_console

_TRIAL = ("-c", "import backend.service.server, backend.pipeline")
"""What the environment's Python runs as a trial: what the server and its worker import."""

_COMPILE = ("-m", "backend", "compile")
"""What it then runs, since an update of the extension brings no compiled code; there is nothing to do in most
sessions."""

_TIMEOUT_SECONDS = 180.0
"""Importing or compiling everything may take a minute or two."""


class EnvironmentState(StrEnum):
    """ABSENT: there is none. UNFINISHED: its installation did not end. BROKEN: it is finished and does not
    run. INSTALLED: it is finished, and runs as far as is known."""

    ABSENT = "absent"
    UNFINISHED = "unfinished"
    BROKEN = "broken"
    INSTALLED = "installed"


_state = EnvironmentState.ABSENT
_trial: threading.Thread | None = None


def refresh(try_it: bool = False) -> EnvironmentState:
    """Looks again which files the environment has.

    Args:
        try_it: also run it, in a thread; if it does not run, it becomes BROKEN.
    """
    global _state, _trial
    _state, _trial = _read_state(), None
    if try_it and _state is EnvironmentState.INSTALLED:
        _trial = threading.Thread(target=_try_environment, name="orbit-texture-trial", daemon=True)
        _trial.start()
    return _state


def get() -> EnvironmentState:
    """The state at the last refresh, and what a trial has found since."""
    return _state


def is_installed() -> bool:
    """Whether jobs can run, as far as is known."""
    return _state is EnvironmentState.INSTALLED


def _read_state() -> EnvironmentState:
    folder = paths.backend_environment()
    if not paths.environment_python(folder).exists():
        return EnvironmentState.ABSENT
    try:
        stamp = json.loads((folder / paths.ENVIRONMENT_STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return EnvironmentState.UNFINISHED
    finished = isinstance(stamp, dict) and "complete" in stamp
    return EnvironmentState.INSTALLED if finished else EnvironmentState.UNFINISHED


def _try_environment() -> None:
    global _state
    runs = _run(_TRIAL)
    if runs:
        _run(_COMPILE)
    elif _trial is threading.current_thread():
        _state = EnvironmentState.BROKEN


def _run(arguments: tuple[str, ...]) -> bool:
    """Runs the environment's Python and returns whether that succeeded."""
    python = paths.environment_python(paths.backend_environment())
    try:
        done = subprocess.run(
            [str(python), "-E", "-s", *arguments],
            cwd=paths.ROOT,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            env=clean_environment(),
            check=False,
            **hide_console(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
