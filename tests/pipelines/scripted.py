"""A pipeline whose stages run a script in the job's name, so that the service can be tested with real
processes and without textures.

The script is a list of words ``stage=action``; a stage without an action takes no time. Actions:

- ``sleep:SECONDS`` sleeps and reports progress;
- ``deaf:SECONDS`` sleeps without reporting, so that a cancellation is not noticed;
- ``native:SECONDS`` waits in machine code that holds the interpreter's lock;
- ``wait`` waits until the test creates the file ``STAGE.go`` in the job's folder, and reports progress;
- ``children`` starts a process and waits for it;
- ``show:N`` sends a preview of N images;
- ``crash:SIGNAL``, ``exit``, ``error``, ``invalid``, ``memory`` and ``full`` (disk) fail in different ways;
- ``chatter`` prints to standard output.

A job that only checks the reference ends after ``prepare``. It finds as many views as the word
``candidates=N`` says, at azimuths 10, 20 …, and doubts the first if there are several and the view was not
given. Its mask is the left half of the image, or has the mean of the strokes everywhere.

A finished stage leaves a file with its name, and is skipped in the next run.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from backend.api.errors import InvalidMesh
from backend.api.job import Job, Result

STAGES = ("prepare", "render", "paint", "align", "bake", "refine")


def run(job: Job, folder: Path, progress, show_preview) -> Result:
    actions = dict(word.split("=") for word in job.name.split() if "=" in word)
    ran = []
    if job.check_reference and job.strokes is not None:
        show_preview(np.zeros((2, 64, 64, 3), np.uint8))
    for number, stage in enumerate(STAGES[:1] if job.check_reference else STAGES):
        done = folder / f"{stage}.done"
        progress(stage, number / len(STAGES))
        if done.exists():
            continue
        action, _, argument = actions.get(stage, "sleep:0").partition(":")
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
    if job.check_reference:
        return _check_reference(job, int(actions.get("candidates", 1)))
    uvs = np.full((len(job.mesh.faces), 3, 2), 0.5, np.float32)
    image = np.frombuffer(job.reference.tobytes()[:1000], np.uint8)
    return Result(uvs, {"base_color": image}, {"ran": ran, "name": job.name}, sheet=image)


def _check_reference(job: Job, candidates: int) -> Result:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, :30] = 255
    if job.strokes is not None:
        mask[:] = round(100 * float(job.strokes.mean()))
    given = job.settings.azimuth is not None
    views = [
        {
            "azimuth": job.settings.azimuth if given else 10.0 * (number + 1),
            "elevation": job.settings.elevation if given else 5.0,
            "confidence": 0.4 if candidates > 1 else 0.9,
            "camera": [10.0 * (number + 1), 5.0, 0.0, 1.5, -0.7, 0.5, 0.5],
        }
        for number in range(candidates)
    ]
    images = {"mask": mask, "outline": np.dstack([mask] * 3)}
    for number in range(candidates):
        images[f"candidate.{number}"] = np.full((16, 16, 4), 50 * number, np.uint8)
    doubtful = candidates > 1 and not given
    report = {
        "doubtful": doubtful,
        "candidates": views,
        "notes": ["The view is uncertain."] if doubtful else [],
        "seconds": {},
        "settings": job.settings.to_dict(),
        "has mask": job.mask is not None,
    }
    textures = {name: cv2.imencode(".png", image)[1].ravel() for name, image in images.items()}
    return Result(None, textures, report)


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
    elif action == "children":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder / "child.pid").write_text(str(child.pid))
        child.wait()
    elif action == "crash":
        os.kill(os.getpid(), getattr(signal, argument or "SIGSEGV"))
    elif action == "exit":
        os._exit(3)
    elif action == "error":
        raise RuntimeError("nobody expected this")
    elif action == "invalid":
        raise InvalidMesh("This mesh is a test.")
    elif action == "memory":
        np.empty(2**50, np.uint8)
    elif action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "paint.npy"))
    elif action == "show":
        show_preview(np.full((int(argument), 4, 4, 3), 7, np.uint8))
    elif action == "chatter":
        os.write(1, b"a library prints\n")
        print("and so does Python")


def _hold_interpreter(seconds: float) -> None:
    """Runs machine code that keeps the interpreter's lock, as numba's may, so that no other thread of this
    process notices a cancellation."""
    import ctypes

    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
