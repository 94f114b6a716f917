"""The server's process, as Blender starts it."""

import os
import subprocess
import time
from pathlib import Path

from ...backend.api.errors import NoWorker, OrbitError
from ...backend.api.paths import ROOT

_LAUNCH_INTERVAL = 1.0
"""Seconds between two launches at least."""


class ServerProcess:
    """Starts the server, as a process that outlives Blender."""

    def __init__(self, run_directory: Path, python: Path, options: tuple[str, ...]):
        self._command = [
            str(python),
            "-E",
            "-s",
            "-m",
            "backend",
            "serve",
            "--run-dir",
            str(run_directory.absolute()),
            *options,
        ]
        self._python = python
        self._process: subprocess.Popen | None = None
        self._has_answered = False
        self._launched_at = -_LAUNCH_INTERVAL

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self, replace: bool) -> None:
        """Starts a server, but not more often than once a second. Raises :class:`NoWorker` if none is
        installed."""
        if time.monotonic() - self._launched_at < _LAUNCH_INTERVAL and not replace:
            return
        if not self._python.exists():
            raise NoWorker("The backend is not installed. Install it, then try again.", "install_backend")
        self._launched_at, self._has_answered = time.monotonic(), False
        detached = (
            {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        try:
            # The server writes to this pipe only until it accepts connections; then it has a log file.
            self._process = subprocess.Popen(
                [*self._command, *(["--replace"] if replace else [])],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **detached,
            )
        except OSError as error:
            raise NoWorker(
                f"The backend cannot be started ({error.strerror}). Install it again.", "install_backend"
            ) from error

    def pop_deferral(self) -> bool:
        """Whether the last launched process ended without an error because another server was already
        running. Returns True once per launch."""
        if self._process is None or self._process.poll() != 0:
            return False
        self._forget()
        return True

    def on_answer(self) -> None:
        """A server has answered. However the last launched process ends after this, it did start."""
        self._has_answered = True

    def pop_failure(self) -> OrbitError | None:
        """Why the last launched process failed to start, or None. Returns the error once per launch."""
        if self._process is None or self._process.poll() in (None, 0):
            return None
        if self._has_answered:
            self._forget()
            return None
        code, output = self._process.returncode, self._process.stdout.read().decode(errors="replace").strip()
        self._forget()
        if code == 2 and output:
            return NoWorker(output.splitlines()[-1], "restart_worker")
        reason = output.splitlines()[-1] if output else f"exit status {code}"
        return NoWorker(f"The backend cannot be started ({reason}). Install it again.", "install_backend")

    def _forget(self) -> None:
        self._process.stdout.close()
        self._process = None
