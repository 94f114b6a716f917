"""The worker process: runs the pipeline on one job folder after another. It alone imports torch and numba.

It reads requests from its standard input and writes events to its standard output, one JSON object a line:

    {"run": id, "folder": path}     {"event": "ready"}
    {"cancel": id}                  {"event": "progress", "job": id, "stage": name, "fraction": number,
                                     "device": {…} or null}
                                    {"event": "preview", "job": id, "shape": [numbers], "pictures": base64}
                                    {"event": "finished", "job": id}
                                    {"event": "failed", "job": id, "error": {…}}

When its input ends, it exits at once.
"""

import base64
import contextlib
import ctypes
import errno
import faulthandler
import gc
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from .. import store
from ..api.devices import Device
from ..api.errors import Cancelled, OrbitError, StorageError
from ..api.faults import explain_fault
from ..api.settings import Settings
from ..api.stage_names import name_stage
from ..device import find_device, query_cpu, query_device

PIPELINE = "backend.pipeline:run"
"""The function that textures, as ``module:function``."""

_PROGRESS_INTERVAL = 0.1
"""Seconds between two progress events of a stage, at least."""

_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""Numbers of the errors that mean that a folder cannot be written."""


def main(pipeline: str = PIPELINE) -> None:
    """Runs jobs until the input ends.

    Args:
        pipeline: ``module:function`` of the function that textures; see :func:`backend.pipeline.run`.
    """
    # Standard output carries only events; what libraries print goes to standard error.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    faulthandler.enable()
    _die_with_parent()
    _lower_priority()
    Worker(lambda event: output.write(json.dumps(event) + "\n")).serve(pipeline)


class Worker:
    """Runs jobs on the main thread and reads requests on another, so that a job can be cancelled while it
    computes."""

    def __init__(self, send: Callable[[dict], object]):
        self._send = send
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._cancelled: set[str] = set()

    def serve(self, pipeline: str) -> None:
        threading.Thread(target=self._read_requests, name="requests", daemon=True).start()
        module, function = pipeline.split(":")
        run = getattr(importlib.import_module(module), function)
        self._send({"event": "ready"})
        while True:
            request = self._requests.get()
            self._run_job(run, request["run"], Path(request["folder"]))
            _release_memory()

    def _read_requests(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            if "cancel" in request:
                self._cancelled.add(request["cancel"])
            else:
                # This may be a retry of a cancelled job.
                self._cancelled.discard(request["run"])
                self._requests.put(request)
        _exit_with_children()

    def _run_job(self, run: Callable, job_id: str, folder: Path) -> None:
        progress = _ProgressReporter(job_id, self._cancelled, self._send)
        try:
            if model := store.load_download(folder):
                # Importing huggingface_hub takes a second, and no other job needs it.
                from ..weights.job import download_model

                result = download_model(model, progress)
            else:
                job = store.load_job(folder)
                progress.query_device = partial(_stage_device, job.settings)
                store.delete_stale_stages(folder, job)
                result = run(job, folder, progress, progress.send_preview)
            store.save_result(folder, result)
        except Exception as error:
            if not isinstance(error, OrbitError):
                traceback.print_exc()
            reason = to_orbit_error(error, progress.stage)
            if not (isinstance(error, OrbitError) or (folder / "job").exists()):
                reason = StorageError("The folder of this job was deleted while it ran. Start the job again.")
            self._send({"event": "failed", "job": job_id, "error": reason.to_dict()})
        else:
            self._send({"event": "finished", "job": job_id})


class _ProgressReporter:
    """The pipeline's progress callback: raises :class:`Cancelled` once the user has cancelled the job, and
    limits how often events are sent.

    Attributes:
        stage: the name of the running stage.
        query_device: returns the device that a stage uses, or None.
    """

    def __init__(self, job_id: str, cancelled: set[str], send: Callable[[dict], object]):
        self._job_id, self._cancelled, self._send = job_id, cancelled, send
        self._sent = 0.0
        self.stage = ""
        self.query_device: Callable[[str], Device | None] = lambda stage: None

    def __call__(self, stage: str, fraction: float) -> None:
        if self._job_id in self._cancelled:
            raise Cancelled
        now = time.monotonic()
        if stage != self.stage or now - self._sent >= _PROGRESS_INTERVAL:
            self.stage, self._sent = stage, now
            device = self.query_device(stage)
            self._send(
                {
                    "event": "progress",
                    "job": self._job_id,
                    "stage": stage,
                    "fraction": min(max(float(fraction), 0.0), 1.0),
                    "device": device.to_dict() if device else None,
                }
            )

    def send_preview(self, images: np.ndarray) -> None:
        """Sends preview images (N, S, S, 3) uint8."""
        self._send(
            {
                "event": "preview",
                "job": self._job_id,
                "shape": images.shape,
                "pictures": base64.b64encode(images).decode("ascii"),
            }
        )


def _stage_device(settings: Settings, stage: str) -> Device:
    """The device that a stage of a job uses, with its memory use."""
    return query_device(find_device(settings.device)) if stage in settings.networks else query_cpu()


def to_orbit_error(error: Exception, stage: str) -> OrbitError:
    """The error to report to the user, given what the pipeline raised in ``stage``."""
    if isinstance(error, OrbitError):
        return error
    # Other errors of the system are bugs of ours.
    is_bug = isinstance(error, OSError) and error.errno not in _WRITE_ERRORS
    if not is_bug and (fault := explain_fault(error)):
        return fault
    return OrbitError(
        f"{name_stage(stage or 'prepare')} failed unexpectedly ({type(error).__name__}: {error}). "
        "The details are in worker.log in the run folder.",
        "retry",
    )


def _release_memory() -> None:
    """Gives what a job has freed back to the system. glibc keeps it where anything that is still used lies
    behind it: after a draft 0.9 GB, after ten of them 2 GB."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # musl has no such function, and keeps less
            ctypes.CDLL(None).malloc_trim(0)


def _die_with_parent() -> None:
    """Makes Linux kill this process when the server dies, even while native code blocks the reading
    thread."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _lower_priority() -> None:
    """Lowers the priority, so that Blender gets the processor first, and raises the score by which the kernel
    chooses a process to kill when memory runs out."""
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 5)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")


def _exit_with_children() -> None:
    """Ends this process and its child processes."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
