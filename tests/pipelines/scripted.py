"""A pipeline whose stages run a script in the job's name, so that the service can be tested with real
processes and without textures.

The script is a list of words ``stage=action``; a stage without an action takes no time. Actions:

- ``sleep:SECONDS`` sleeps and reports progress;
- ``deaf:SECONDS`` sleeps without reporting, so that a cancellation is not noticed;
- ``busy:SECONDS`` computes without reporting;
- ``native:SECONDS`` waits in machine code that holds the interpreter's lock;
- ``wait`` waits until the test creates the file ``STAGE.go`` in the job's folder, and reports progress;
- ``children`` starts a process and waits for it;
- ``doubt`` finds the view doubtful, and stops if the job's settings say so;
- ``hoard:N`` takes N MiB, frees them, and keeps a little that lies behind them;
- ``show:N`` sends a preview of N images;
- ``crash:SIGNAL``, ``exit``, ``error``, ``invalid``, ``memory`` and ``full`` (disk) fail in different ways;
- ``chatter`` prints to standard output; ``babble:TEXT`` sends the server a line that is no event.

The word ``start=crash:N`` kills the worker N times before the job has told any progress. ``result=nan`` gives
the report a number that JSON does not have, ``result=tiles:N`` the result every map on N UDIM tiles;
``result=all`` returns the whole reference and not only its beginning.

A finished stage leaves a file with its name, and is skipped in the next run. A job that checks its reference
ends after ``register``. It finds as many views as the word ``candidates=N`` says, at azimuths 30, 60 …, and
doubts the first if there are several and the view was not given. Its mask is the left half of the image, or
has the mean of the strokes everywhere; these are shown at once.
"""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from backend.api.errors import DoubtfulView, InvalidMesh
from backend.api.job import MAPS, Job, Result

STAGES = ("prepare", "register", "render", "paint", "align", "bake", "refine")

DOUBT = "The view is a test."

_kept: list[bytearray] = []


def run(job: Job, folder: Path, progress, show_preview) -> Result:
    actions = dict(word.split("=") for word in job.name.split() if "=" in word)
    if actions.get("start"):
        _crash_at_start(folder, int(actions["start"].partition(":")[2]))
    ran = []
    stages = STAGES[:2] if job.check_reference else STAGES
    settings, count = job.settings, int(actions.get("candidates", 1))
    given = None if settings.azimuth is None else (settings.azimuth, settings.elevation)
    views = _find_views(count, given)
    doubtful = actions.get("register") == "doubt" or (count > 1 and given is None)
    if job.check_reference and job.strokes is not None:
        show_preview(np.zeros((2, 64, 64, 3), np.uint8))
    for number, stage in enumerate(stages):
        done = folder / f"{stage}.done"
        progress(stage, number / len(STAGES))
        if done.exists():
            continue
        action, _, argument = actions.get(stage, "sleep:0").partition(":")
        if action == "doubt" and settings.on_doubt == "stop" and not job.check_reference:
            raise DoubtfulView(DOUBT, candidates=views)
        _perform(
            action,
            argument,
            lambda fraction, stage=stage, number=number: progress(stage, (number + fraction) / len(STAGES)),
            show_preview,
            folder,
            stage,
        )
        with open(folder / "ran.txt", "a") as file:
            file.write(f"{stage}\n")
        done.touch()
        ran.append(stage)
    image = np.frombuffer(job.reference.tobytes()[:1000], np.uint8)
    report = {
        "ran": ran,
        "name": job.name,
        "settings": settings.to_dict(),
        "mask": None if job.mask is None else list(job.mask.shape),
        "doubtful": doubtful,
        "doubts": [DOUBT] if doubtful else [],
        "candidates": views,
        "notes": [DOUBT] if doubtful else [],
    }
    if job.check_reference:
        return Result(None, _check_images(job, count), report)
    uvs = np.full((len(job.mesh.faces), 3, 2), 0.5, np.float32)
    textures = {"base_color": image}
    action, _, argument = actions.get("result", "").partition(":")
    if action == "all":
        textures = {"base_color": job.reference}
    elif action == "nan":
        report["coverage"] = float("nan")
    elif action == "tiles":
        textures = {f"{name}.{1001 + tile}": image for name in MAPS for tile in range(int(argument))}
    return Result(uvs, textures, report, sheet=image)


def _find_views(count: int, given: tuple[float, float] | None) -> list[dict]:
    return [
        {
            "azimuth": 30.0 * (number + 1) if given is None else given[0],
            "elevation": 10.0 if given is None else given[1],
            "confidence": 0.4,
            "camera": [30.0 * (number + 1), 10.0, 0.0, 1.5, -0.7, 0.5, 0.5],
        }
        for number in range(count)
    ]


def _check_images(job: Job, candidates: int) -> dict[str, np.ndarray]:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, :30] = 255
    if job.strokes is not None:
        mask[:] = round(100 * float(job.strokes.mean()))
    images = {"mask": mask, "outline": np.dstack([mask] * 3)}
    for number in range(candidates):
        images[f"candidate.{number}"] = np.full((16, 16, 4), 50 * number, np.uint8)
    return {name: cv2.imencode(".png", image)[1].ravel() for name, image in images.items()}


def _perform(action: str, argument: str, progress, show_preview, folder: Path, stage: str) -> None:
    if action == "sleep":
        begun, seconds = time.monotonic(), float(argument)
        while (passed := time.monotonic() - begun) < seconds:
            progress(passed / seconds)
            time.sleep(0.02)
    elif action == "wait":
        while not (folder / f"{stage}.go").exists():
            progress(0.5)
            time.sleep(0.02)
    elif action == "deaf":
        time.sleep(float(argument))
    elif action == "native":
        _hold_interpreter(float(argument))
    elif action == "busy":
        until = time.monotonic() + float(argument)
        while time.monotonic() < until:
            pass
    elif action == "children":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder / "child.pid").write_text(str(child.pid))
        child.wait()
    elif action == "crash":
        argument = argument or "SIGSEGV"
        os.kill(os.getpid(), int(argument) if argument.isdigit() else getattr(signal, argument))
    elif action == "exit":
        os._exit(3)
    elif action == "error":
        raise RuntimeError("nobody expected this")
    elif action == "invalid":
        raise InvalidMesh("This mesh is a test.")
    elif action == "memory":
        np.empty(2**50, np.uint8)
    elif action == "hoard":
        blocks = [bytearray(b"x" * 2**16) for _ in range(16 * int(argument))]
        _kept.append(blocks[-1])
    elif action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "paint.npy"))
    elif action == "show":
        show_preview(np.full((int(argument), 4, 4, 3), 7, np.uint8))
    elif action == "chatter":
        os.write(1, b"a library prints\n")
        print("and so does Python")
    elif action == "babble":
        os.write(_find_event_pipe(), f"{argument}\n".encode())
        time.sleep(600)


def _crash_at_start(folder: Path, count: int) -> None:
    crashes = folder / "crashes.txt"
    before = crashes.read_text() if crashes.exists() else ""
    if len(before) < count:
        crashes.write_text(f"{before}x")
        os.kill(os.getpid(), signal.SIGKILL)


def _find_event_pipe() -> int:
    """The descriptor to which this worker writes its events. Linux only."""
    for number in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        path = Path(f"/proc/self/fd/{number}")
        if (
            number > 2
            and path.exists()
            and path.is_fifo()
            and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_WRONLY
        ):
            return number
    raise OSError("there is no pipe to the server")


def _hold_interpreter(seconds: float) -> None:
    """Runs machine code that keeps the interpreter's lock, as numba's may, so that no other thread of this
    process notices a cancellation."""
    import ctypes

    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
