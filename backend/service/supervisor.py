"""Watches over the worker process: starts it, hears it, ends it, and notices when it ends by itself."""

import base64
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from ..api.devices import Device
from ..api.errors import Cancelled, OrbitError, OutOfMemory, WorkerDied
from ..api.paths import ROOT
from . import logs

_log = logging.getLogger(__name__)

CANCEL_GRACE = 0.7
"""Seconds in which a cancelled job may end by itself. Then its worker is killed, since native code cannot be
interrupted."""


class Supervisor:
    """One worker process and the one job it is at. All methods and callbacks run on the server's thread.

    Attributes:
        job: id of the job at work, None while there is none.
        ready: a worker has started up and waits for a job or is at one.
        on_ready(): a worker waits for its first job.
        on_progress(stage, fraction, device): of :attr:`job`.
        on_preview(pictures): (N, S, S, 3) uint8, what :attr:`job` is painting.
        on_done(job, error): the job finished (None), failed, or was cancelled (:class:`Cancelled`).
        on_broken(error): a worker ended before it was ready.
    """

    on_ready: Callable[[], None]
    on_progress: Callable[[str, float, Device | None], None]
    on_preview: Callable[[np.ndarray], None]
    on_done: Callable[[str, OrbitError | None], None]
    on_broken: Callable[[OrbitError], None]

    def __init__(self, run_directory: Path, pipeline: str, post: Callable[[Callable[[], None]], None]):
        """
        Args:
            pipeline: ``module:function``, see :mod:`backend.service.worker`.
            post: hands a function from another thread to the server's.
        """
        self.job: str | None = None
        self.ready = False
        self._log_path = run_directory / "worker.log"
        self._pipeline = pipeline
        self._post = post
        self._process: subprocess.Popen | None = None
        self._kill_at: float | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` has to be called, on the monotonic clock."""
        return self._kill_at

    def start(self) -> None:
        """Starts a worker unless there is one. It takes seconds to get ready: torch is large."""
        if self._process:
            return
        logs.shrink(self._log_path)
        try:
            with open(self._log_path, "ab") as log:
                # A session of its own makes it the head of a process group, which can be killed as a whole.
                self._process = subprocess.Popen(
                    [sys.executable, "-E", "-s", "-m", "backend", "worker", "--pipeline", self._pipeline],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                    bufsize=1,
                    start_new_session=True,
                )
        except OSError as error:
            self.on_broken(
                WorkerDied(f"The worker cannot be started ({error.strerror or error}).", "install_backend")
            )
            return
        threading.Thread(target=self._read, args=(self._process,), name="worker", daemon=True).start()

    def run(self, job: str, folder: Path) -> None:
        """Gives a worker that is ready and has no job a job."""
        self.job = job
        self._write({"run": job, "folder": str(folder)})

    def cancel(self) -> None:
        """Ends the job at work, within :data:`CANCEL_GRACE`; ``on_done`` tells when."""
        if self.job and self._kill_at is None:
            self._kill_at = time.monotonic() + CANCEL_GRACE
            self._write({"cancel": self.job})

    def tick(self) -> None:
        """Does what time demands."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            _log.info("job %s did not end by itself; killing its worker", self.job)
            self.stop()
            self.start()
            self._done(None)
        elif self._process and self._process.poll() is not None:
            # What it started may still hold its output open, which hides the end from the thread that reads
            # it.
            _kill_tree(self._process)

    def stop(self) -> None:
        """Ends the worker and everything it has started. ``on_done`` is not called."""
        if self._process:
            _kill_tree(self._process)
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process, self.ready = None, False

    def _write(self, request: dict) -> None:
        # A worker that is gone is noticed by the thread that reads.
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request) + "\n")

    def _read(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self._post(partial(self._heard, process, line))
        process.wait()
        self._post(partial(self._ended, process))

    def _heard(self, process: subprocess.Popen, line: str) -> None:
        if process is not self._process:
            return
        try:
            event = json.loads(line)
        except ValueError:
            # The last words of a worker that was killed in the middle of them.
            return
        if event["event"] == "ready":
            self.ready = True
            self.on_ready()
        elif event["event"] == "progress":
            self.on_progress(
                event["stage"], event["fraction"], Device(**event["device"]) if event["device"] else None
            )
        elif event["event"] == "preview":
            self.on_preview(
                np.frombuffer(base64.b64decode(event["pictures"]), np.uint8).reshape(event["shape"])
            )
        elif event["event"] == "finished":
            self._done(None)
        else:
            error = OrbitError.from_dict(event["error"])
            if isinstance(error, OutOfMemory):
                # Memory that a failed job still holds is only surely free again in a new process.
                self.stop()
                self.start()
            self._done(error)

    def _ended(self, process: subprocess.Popen) -> None:
        if process is not self._process:
            return
        cause = _cause(process.returncode)
        _log.warning("the worker %s", cause)
        was_ready = self.ready
        self.stop()
        if self.job:
            self.start()
            self._done(
                WorkerDied(
                    f"The worker {cause}. Finished stages are kept: retry the job to go on from there.",
                    "retry",
                )
            )
        elif not was_ready:
            self.on_broken(
                WorkerDied(
                    f"The worker does not start: it {cause}. Install the backend again; the details are in "
                    f"{self._log_path}.",
                    "install_backend",
                )
            )

    def _done(self, error: OrbitError | None) -> None:
        job, cancelled = self.job, self._kill_at is not None
        self.job = self._kill_at = None
        # Whatever became of it in its last moments: who cancelled a job gets a cancelled job.
        self.on_done(job, Cancelled() if cancelled else error)


def _cause(code: int) -> str:
    """How a process ended, as the end of a sentence that begins with its name."""
    if code == -getattr(signal, "SIGKILL", 9):
        return "was killed, most likely because memory ran out"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    return f"ended unexpectedly (exit status {code})"


def _kill_tree(process: subprocess.Popen) -> None:
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
    process.kill()
