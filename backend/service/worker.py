"""The worker process: runs the pipeline on one job folder after another. It alone imports torch and numba.

It reads requests from its standard input and writes events to its standard output, one JSON object a line:

    {"run": id, "folder": path}     {"event": "ready"}
    {"cancel": id}                  {"event": "progress", "job": id, "stage": name, "fraction": number,
                                     "device": {…} or null}
                                    {"event": "preview", "job": id, "shape": [numbers], "pictures": base64}
                                    {"event": "finished", "job": id}
                                    {"event": "failed", "job": id, "error": {…}}

The end of its input ends it, at once, whatever it is doing.
"""

import base64
import contextlib
import errno
import faulthandler
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
from ..api.errors import Cancelled, OrbitError, OutOfMemory
from ..api.settings import Settings
from ..device import find_device, query_cpu, query_device

PIPELINE = "backend.pipeline:run"
_PROGRESS_INTERVAL = 0.1
_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def main(pipeline: str = PIPELINE) -> None:
    """Serves until the input ends.

    Args:
        pipeline: ``module:function`` of the function that textures; see :func:`backend.pipeline.run`.
    """
    # Libraries print; what they print must not end up among the events.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    faulthandler.enable()
    _die_with_server()
    _stand_back()
    Worker(lambda event: output.write(json.dumps(event) + "\n")).serve(pipeline)


class Worker:
    """Reads requests on a thread of its own, so that a cancellation is heard while the main thread
    computes."""

    def __init__(self, send: Callable[[dict], object]):
        self._send = send
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._cancelled: set[str] = set()

    def serve(self, pipeline: str) -> None:
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        module, function = pipeline.split(":")
        run = getattr(importlib.import_module(module), function)
        self._send({"event": "ready"})
        while True:
            request = self._requests.get()
            self._work(run, request["run"], Path(request["folder"]))

    def _listen(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            if "cancel" in request:
                self._cancelled.add(request["cancel"])
            else:
                # It may be a retry of a job that was cancelled.
                self._cancelled.discard(request["run"])
                self._requests.put(request)
        _leave()

    def _work(self, run: Callable, id: str, folder: Path) -> None:
        progress = _Progress(id, self._cancelled, self._send)
        try:
            if model := store.load_download(folder):
                from ..weights.job import (
                    download_model,
                )  # huggingface_hub takes a second to import, which no other job needs

                result = download_model(model, progress)
            else:
                job = store.load_job(folder)
                progress.at_work = partial(_at_work, job.settings)
                store.drop_foreign_stages(folder, job)
                result = run(job, folder, progress, progress.show)
            store.save_result(folder, result)
        except Exception as error:
            if not isinstance(error, OrbitError):
                traceback.print_exc()
            self._send({"event": "failed", "job": id, "error": explain(error, progress.stage).to_dict()})
        else:
            self._send({"event": "finished", "job": id})


class _Progress:
    """What the pipeline calls as it goes: raises :class:`Cancelled` if the user wants that, and reports, but
    not too often.

    Attributes:
        stage: the one at work.
        at_work: looks at what works in a stage; None if that says nothing.
    """

    def __init__(self, id: str, cancelled: set[str], send: Callable[[dict], object]):
        self._id, self._cancelled, self._send = id, cancelled, send
        self._sent = 0.0
        self.stage = ""
        self.at_work: Callable[[str], Device | None] = lambda stage: None

    def __call__(self, stage: str, fraction: float) -> None:
        if self._id in self._cancelled:
            raise Cancelled
        now = time.monotonic()
        if stage != self.stage or now - self._sent >= _PROGRESS_INTERVAL:
            self.stage, self._sent = stage, now
            device = self.at_work(stage)
            self._send(
                {
                    "event": "progress",
                    "job": self._id,
                    "stage": stage,
                    "fraction": min(max(float(fraction), 0.0), 1.0),
                    "device": device.to_dict() if device else None,
                }
            )

    def show(self, pictures: np.ndarray) -> None:
        """Sends pictures (N, S, S, 3) uint8."""
        self._send(
            {
                "event": "preview",
                "job": self._id,
                "shape": pictures.shape,
                "pictures": base64.b64encode(pictures).decode("ascii"),
            }
        )


def _at_work(settings: Settings, stage: str) -> Device:
    """What works in a stage of a job, and how full its memory is."""
    return query_device(find_device(settings.device)) if stage in settings.networks else query_cpu()


def explain(error: Exception, stage: str) -> OrbitError:
    """The error for the user, given what the pipeline raised in ``stage``."""
    if isinstance(error, OrbitError):
        return error
    # torch's class of this name is not a MemoryError, and the name is all we can know without importing torch
    # here.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory(
            "There is not enough memory for this job. Close other programs, or choose a smaller texture or a "
            "simpler mesh.",
            "retry",
        )
    if isinstance(error, OSError) and error.errno in _WRITE_ERRORS:
        return store.storage_error(error, Path(error.filename or "the job's folder"))
    return OrbitError(
        f"The stage '{stage or 'prepare'}' failed unexpectedly ({type(error).__name__}: {error}). "
        "The details are in worker.log in the run folder.",
        "retry",
    )


def _die_with_server() -> None:
    """Linux ends this process when the server's ends, even while native code keeps us from reading the end of
    the input."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _stand_back() -> None:
    """Blender comes first: in the race for processors, and when the kernel looks for someone to kill because
    memory ran out."""
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 5)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")


def _leave() -> None:
    """Ends this process and those it has started."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
