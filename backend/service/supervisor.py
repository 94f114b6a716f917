"""Supervises the worker process: starts it, reads its events, ends it, and notices when it dies."""

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
from collections import Counter
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
"""Seconds that a cancelled job has to end by itself. After that its worker is killed, since native code
cannot be interrupted."""

SILENCE_SECONDS = 600.0
"""A worker that should work but says nothing for this long, and does nothing in its second half, is stuck."""

_BUSY_FRACTION = 0.01
"""A worker that uses more of one processor than this does something."""

_MAX_TICK_SECONDS = 2.0
"""At most this much silence is counted between two ticks, since the computer may have slept."""

MAX_STARTS = 3
"""How often a worker is started, and a job given to one, if it is killed before the job has told any
progress. The system kills processes when memory is short, which soon may be over."""

_RESTART_PAUSE = 0.5
"""Seconds before such a worker is started again; doubled each time."""

_PYTHON_ERROR = 1
"""The exit status of a worker that cannot import what it needs."""


class Supervisor:
    """One worker process and the job that it runs. All methods and callbacks run on the server's thread.

    Attributes:
        job: id of the running job, None while there is none.
        ready: whether a worker has started up; it waits for a job or runs one.
        on_ready(): called when a worker waits for its first job.
        on_progress(stage, fraction, device): progress of :attr:`job`.
        on_preview(images): (N, S, S, 3) uint8, what :attr:`job` is painting.
        on_done(job, error): the job finished (None), failed, or was cancelled (:class:`Cancelled`).
        on_lost(job): the worker ended before the job told any progress; it may be run again.
        on_start_failed(error): no worker can be started.
    """

    on_ready: Callable[[], None]
    on_progress: Callable[[str, float, Device | None], None]
    on_preview: Callable[[np.ndarray], None]
    on_done: Callable[[str, OrbitError | None], None]
    on_lost: Callable[[str], None]
    on_start_failed: Callable[[OrbitError], None]

    def __init__(
        self,
        run_directory: Path,
        pipeline: str,
        post: Callable[[Callable[[], None]], None],
        silence_seconds: float = SILENCE_SECONDS,
    ):
        """
        Args:
            pipeline: ``module:function``, see :mod:`backend.service.worker`.
            post: called from another thread, runs a function on the server's thread.
            silence_seconds: see :data:`SILENCE_SECONDS`.
        """
        self.job: str | None = None
        self.ready = False
        self._log_path = run_directory / "worker.log"
        self._pipeline = pipeline
        self._post = post
        self._process: subprocess.Popen | None = None
        self._kill_at: float | None = None
        self._start_at: float | None = None
        self._failed_starts = 0
        self._has_progress = False
        self._lost_jobs: Counter[str] = Counter()
        self._killed_because = ""
        self._silence_seconds, self._silence = silence_seconds, 0.0
        self._ticked_at = time.monotonic()
        self._processor_seconds: float | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` has to be called, on the monotonic clock."""
        return min((time for time in (self._kill_at, self._start_at) if time is not None), default=None)

    def start(self) -> None:
        """Starts a worker unless there is one, or will be after a pause. It is ready after seconds, since
        torch is large."""
        if self._process or self._start_at is not None:
            return
        logs.truncate_log(self._log_path)
        try:
            with open(self._log_path, "ab") as log:
                # A new session makes it the leader of a process group, which can be killed as a whole.
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
            self.on_start_failed(
                WorkerDied(f"The worker cannot be started ({error.strerror or error}).", "install_backend")
            )
            return
        threading.Thread(target=self._read_events, args=(self._process,), name="worker", daemon=True).start()

    def run(self, job: str, folder: Path) -> None:
        """Runs a job in the worker, which must be ready and have no job."""
        self.job, self._has_progress, self._silence = job, False, 0.0
        self._send({"run": job, "folder": str(folder)})

    def cancel(self) -> None:
        """Ends the running job within :data:`CANCEL_GRACE`; then ``on_done`` is called."""
        if self.job and self._kill_at is None:
            self._kill_at = time.monotonic() + CANCEL_GRACE
            self._send({"cancel": self.job})

    def tick(self) -> None:
        """Kills a worker whose deadline has passed, and the children of one that has ended."""
        if self._start_at is not None and time.monotonic() >= self._start_at:
            self._start_at = None
            self.start()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            _log.info("job %s did not end by itself; killing its worker", self.job)
            self.stop()
            self.start()
            self._finish_job(None)
        elif self._process and self._process.poll() is not None:
            # Its children may still hold its output open, so that the reading thread does not see its end.
            _kill_tree(self._process)
        else:
            self._watch_silence()

    def _watch_silence(self) -> None:
        """Kills a worker that is stuck."""
        now = time.monotonic()
        passed, self._ticked_at = min(now - self._ticked_at, _MAX_TICK_SECONDS), now
        is_waiting = self._process is None or (self.ready and self.job is None)
        self._silence = 0.0 if is_waiting else self._silence + passed
        if self._silence < self._silence_seconds / 2:
            self._processor_seconds = None
        elif self._processor_seconds is None:
            self._processor_seconds = _measure_processor_seconds(self._process.pid)
        elif self._silence >= self._silence_seconds:
            used = _measure_processor_seconds(self._process.pid) - self._processor_seconds
            self._silence, self._processor_seconds = 0.0, None
            if used < _BUSY_FRACTION * self._silence_seconds / 2:
                self._killed_because = f"said and did nothing for {self._silence_seconds / 60:.0f} minutes"
                _kill_tree(self._process)

    def stop(self) -> None:
        """Kills the worker and its child processes. ``on_done`` is not called."""
        if self._process:
            _kill_tree(self._process)
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process, self.ready = None, False
        self._start_at = None

    def _send(self, request: dict) -> None:
        # If the worker has died, the reading thread notices.
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request) + "\n")

    def _read_events(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self._post(partial(self._on_event, process, line))
        process.wait()
        self._post(partial(self._on_exit, process))

    def _on_event(self, process: subprocess.Popen, line: str) -> None:
        if process is not self._process:
            return
        self._silence = 0.0
        try:
            handle = self._parse_event(line)
        except Exception:  # a line may be wrong in any way
            # What a killed worker wrote last may be incomplete, and its end is noticed anyway.
            if line.endswith("\n"):
                _log.exception("the worker sent %.500r", line)
                self._killed_because = "sent a message that cannot be understood"
                _kill_tree(process)
            return
        handle()

    def _parse_event(self, line: str) -> Callable[[], None]:
        """What a line of the worker's output calls for. Raises some exception if it is malformed."""
        event = json.loads(line, parse_constant=_refuse_constant)
        if event["event"] == "ready":
            return self._on_worker_ready
        if event["event"] == "progress":
            device = Device(**event["device"]) if event["device"] else None
            return partial(self._on_job_progress, str(event["stage"]), float(event["fraction"]), device)
        if event["event"] == "preview":
            pixels = np.frombuffer(base64.b64decode(event["pictures"]), np.uint8)
            return partial(self.on_preview, pixels.reshape(event["shape"]))
        if event["event"] == "finished":
            return partial(self._finish_job, None)
        if event["event"] == "failed":
            return partial(self._on_job_failed, OrbitError.from_dict(event["error"]))
        raise ValueError(f"there is no event '{event['event']}'")

    def _on_worker_ready(self) -> None:
        self.ready, self._failed_starts = True, 0
        self.on_ready()

    def _on_job_progress(self, stage: str, fraction: float, device: Device | None) -> None:
        self._has_progress = True
        self.on_progress(stage, fraction, device)

    def _on_job_failed(self, error: OrbitError) -> None:
        if isinstance(error, OutOfMemory):
            # Only a new process frees all the memory of a failed job.
            self.stop()
            self.start()
        self._finish_job(error)

    def _on_exit(self, process: subprocess.Popen) -> None:
        if process is not self._process:
            return
        cause, code = self._killed_because or _describe_exit(process.returncode), process.returncode
        self._killed_because = ""
        _log.warning("the worker %s", cause)
        was_ready = self.ready
        self.stop()
        if self.job:
            self._on_exit_with_job(cause)
        elif not was_ready:
            self._on_exit_at_start(cause, code)

    def _on_exit_with_job(self, cause: str) -> None:
        if not self._has_progress and self._kill_at is None:
            self._lost_jobs[self.job] += 1
            if self._lost_jobs[self.job] < MAX_STARTS:
                self._start_after_pause(self._lost_jobs[self.job])
                job, self.job = self.job, None
                self.on_lost(job)
                return
        self.start()
        advice = "Finished stages are kept: retry the job to continue from there."
        self._finish_job(WorkerDied(f"The worker {cause}. {advice}", "retry"))

    def _on_exit_at_start(self, cause: str, code: int) -> None:
        """Starts a killed worker again after a pause. One that ended by itself would do so again."""
        self._failed_starts += 1
        if code != _PYTHON_ERROR and self._failed_starts < MAX_STARTS:
            self._start_after_pause(self._failed_starts)
            return
        self._failed_starts = 0
        if code == _PYTHON_ERROR:
            advice, fix = "Install the backend again", "install_backend"
        else:
            advice, fix = "Close other programs, then try again", "retry"
        self.on_start_failed(
            WorkerDied(
                f"The worker does not start: it {cause}. {advice}; the details are in {self._log_path}.", fix
            )
        )

    def _start_after_pause(self, failures: int) -> None:
        self._start_at = time.monotonic() + _RESTART_PAUSE * 2 ** (failures - 1)

    def _finish_job(self, error: OrbitError | None) -> None:
        job, cancelled = self.job, self._kill_at is not None
        self.job = self._kill_at = None
        self._lost_jobs.pop(job, None)
        # A job that the user cancelled is reported as cancelled, even if it failed or finished meanwhile.
        self.on_done(job, Cancelled() if cancelled else error)


def _refuse_constant(name: str):
    raise ValueError(f"{name} is not JSON")


def _describe_exit(code: int) -> str:
    """How a process ended, as a clause to follow its name in a sentence."""
    if code == -getattr(signal, "SIGKILL", 9):
        return "was killed, most likely because memory ran out"
    if code < 0:
        # Real-time signals have no name.
        names = {number.value: number.name for number in signal.Signals}
        return f"crashed ({names.get(-code, f'signal {-code}')})"
    return f"ended unexpectedly (exit status {code})"


def _measure_processor_seconds(pid: int) -> float:
    """The processor time that a process and its children have used so far."""
    seconds = 0.0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = member.cpu_times()
                seconds += times.user + times.system
    return seconds


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
