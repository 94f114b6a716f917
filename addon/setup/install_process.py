"""install.py at work in a process of its own, which Blender follows and never waits for. No bpy.

It runs in a Python of the system, or in Blender's if there is none, and installs into an environment of our
own: neither is changed.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from ...backend.api import paths

_CAN_MAKE_ENVIRONMENTS = (
    "import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
)
_STOP_SECONDS = 2.0


class Setup:
    """One run of install.py.

    Attributes:
        title: what it does, as the panels say it.
        lines: what it has said so far.
        error: what it said on its error stream, once it has ended.
        status: its exit status, once it has ended: 0 for good, negative if it was stopped.
        begun: when, on the monotonic clock.
    """

    def __init__(self, title: str, arguments: tuple[str, ...], then: Callable[["Setup"], None]):
        self.title, self.begun, self.then = title, time.monotonic(), then
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
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def reason(self) -> str:
        """Why it failed, in its last sentence; "" if it did not."""
        if not self.status:
            return ""
        said = self.error.splitlines() or self.lines or [f"exit status {self.status}"]
        return "It was stopped. Started again, it goes on from there." if self._stopped else said[-1]

    def stop(self) -> None:
        """Ends it and what it has started. What it has done is kept."""
        with self._lock:
            self._stopped = True
            if self._process and self._process.poll() is None:
                _end(self._process)

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
                f"It cannot be started ({error.strerror}). Run it in a terminal; docs/install.md tells how.",
            )


def find_python() -> list[str]:
    """The command of the Python that runs install.py.

    The one that the environment was made with; else a system's, which outlives an update of Blender; else
    Blender's own.
    """
    for command in _candidates():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [*command, "-E", "-s", "-c", _CAN_MAKE_ENVIRONMENTS],
                capture_output=True,
                timeout=20,
                env=_environment(),
                check=False,
                **_no_console(),
            )
            if done.returncode == 0:
                return command
    return [sys.executable]


def _candidates() -> Iterator[list[str]]:
    with contextlib.suppress(OSError):
        # What venv notes there since Python 3.11.
        notes = (paths.backend_environment() / "pyvenv.cfg").read_text(encoding="utf-8")
        if found := re.search(r"^executable *= *(.+)$", notes, re.MULTILINE):
            yield [found[1].strip()]
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
        env=_environment(),
        **group,
        **_no_console(),
    )


def _environment() -> dict[str, str]:
    """Ours without what points a Python to Blender's modules."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}


def _no_console() -> dict:
    return {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}


def _end(process: subprocess.Popen) -> None:
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)],
            capture_output=True,
            check=False,
            **_no_console(),
        )
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


_current: Setup | None = None
_ended = True
_installed = False


def look() -> bool:
    """Whether there is a backend's environment, whatever its state."""
    global _installed
    _installed = paths.environment_python(paths.backend_environment()).exists()
    return _installed


def is_installed() -> bool:
    """Whether there was one when last looked for, since a panel that draws reads no files."""
    return _installed


def current() -> Setup | None:
    """The run that is at work, or the last one."""
    return _current


def busy() -> bool:
    """One is at work, or :func:`poll` has not yet dealt with its end."""
    return not _ended


def start(title: str, *arguments: str, then: Callable[[Setup], None] = lambda setup: None) -> None:
    """Runs ``install.py`` with these arguments; one at a time.

    Args:
        then: called by :func:`poll` when it has ended, however.
    """
    global _current, _ended
    _current, _ended = Setup(title, arguments, then), False


def poll() -> None:
    """On the main thread: has what follows on its end happen."""
    global _ended
    if not _ended and not _current.running:
        _ended = True
        look()
        _current.then(_current)


def forget() -> None:
    """Stops the one that is at work; there is none any more."""
    global _current, _ended
    if _current:
        _current.stop()
        _current.join(_STOP_SECONDS)
    _current, _ended = None, True
