"""Runs install.py in a separate process, which Blender follows and never waits for. No bpy.

The process uses a Python of the system, or Blender's if there is none, and installs into an environment of
our own, so that neither Python is changed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from ...backend.api import paths

_CHECK_PYTHON_SCRIPT = "import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
"""Exits with 0 if the Python that runs it can create the environment."""

_STOP_SECONDS = 2.0
"""The longest wait for a stopped run to end when Blender closes."""


class InstallRun:
    """One run of install.py.

    Attributes:
        title: what it does, as the panels show it.
        lines: its output so far.
        error: its error output, once it has ended.
        status: its exit status, once it has ended: 0 for success, negative if it was stopped.
        started_at: in seconds of the monotonic clock.
        on_end: called by :func:`poll` when it has ended, whatever its status.
    """

    def __init__(self, title: str, arguments: tuple[str, ...], on_end: Callable[["InstallRun"], None]):
        self.title, self.started_at, self.on_end = title, time.monotonic(), on_end
        self.lines: list[str] = []
        self.error = ""
        self.status: int | None = None
        self._arguments = arguments
        self._process: subprocess.Popen | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="orbit-texture-setup", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def reason(self) -> str:
        """Why it failed: the last line of its output; "" if it did not fail."""
        if not self.status:
            return ""
        output = self.error.splitlines() or self.lines or [f"exit status {self.status}"]
        return "Stopped. Start it again to continue where it stopped." if self._stopped else output[-1]

    def stop(self) -> None:
        """Ends it and the processes that it has started. What it has installed so far is kept."""
        with self._lock:
            self._stopped = True
            if self._process and self._process.poll() is None:
                _kill_tree(self._process)

    def join(self, seconds: float) -> None:
        """Waits for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            # Errors go through a file, since only one pipe can be read at a time.
            with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
                python = find_python()
                with self._lock:
                    if self._stopped:
                        self.status = -1
                        return
                    self._process = _launch(
                        [*python, "-E", "-s", "-X", "utf8", str(paths.ROOT / "install.py"), *self._arguments],
                        errors,
                    )
                for line in self._process.stdout:
                    self.lines.append(line.rstrip())
                self.status = self._process.wait()
                errors.seek(0)
                self.error = errors.read().strip()
        except OSError as error:
            self.status, self.error = (
                1,
                f"It cannot be started ({error.strerror}). Run it in a terminal; see docs/install.md.",
            )


def find_python() -> list[str]:
    """The command of the Python that runs install.py.

    It is the Python that the environment was created with, else one of the system, which outlives an update
    of Blender, else Blender's own.
    """
    for command in _candidates():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [*command, "-E", "-s", "-c", _CHECK_PYTHON_SCRIPT],
                capture_output=True,
                timeout=20,
                env=clean_environment(),
                check=False,
                **hide_console(),
            )
            if done.returncode == 0:
                return command
    return [sys.executable]


def _candidates() -> Iterator[list[str]]:
    if python := paths.environment_base_python():
        yield [str(python)]
    for minor in (11, 12, 13):
        yield ["py", f"-3.{minor}"] if os.name == "nt" else [f"python3.{minor}"]


def _launch(command: list[str], errors) -> subprocess.Popen:
    group = {} if os.name == "nt" else {"start_new_session": True}
    return subprocess.Popen(
        command,
        cwd=paths.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        encoding="utf-8",
        errors="replace",
        env=clean_environment(),
        **group,
        **hide_console(),
    )


def clean_environment() -> dict[str, str]:
    """The environment variables without those that make a Python find Blender's modules."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}


def hide_console() -> dict:
    return {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}


def _kill_tree(process: subprocess.Popen) -> None:
    """Ends a process and all that it has started."""
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)],
            capture_output=True,
            check=False,
            **hide_console(),
        )
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


_current: InstallRun | None = None
_end_handled = True


def current() -> InstallRun | None:
    """The run in progress, or the last one."""
    return _current


def busy() -> bool:
    """Whether a run is in progress, or :func:`poll` has not yet handled its end."""
    return not _end_handled


def start(title: str, *arguments: str, on_end: Callable[[InstallRun], None] = lambda run: None) -> None:
    """Runs ``install.py`` with these arguments; one run at a time.

    Args:
        on_end: called by :func:`poll` when the run has ended, whatever its status.
    """
    global _current, _end_handled
    _current, _end_handled = InstallRun(title, arguments, on_end), False


def poll() -> None:
    """Handles the end of a run; the main thread calls it."""
    global _end_handled
    if not _end_handled and not _current.is_running:
        _end_handled = True
        _current.on_end(_current)


def shut_down() -> None:
    """Stops the run in progress and forgets the last one."""
    global _current, _end_handled
    if _current:
        _current.stop()
        _current.join(_STOP_SECONDS)
    _current, _end_handled = None, True
