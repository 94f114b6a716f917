"""Many jobs, one after another, in one server and one worker: does anything grow?"""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
import trimesh

from tests.servers import Watcher, api, end_server, wait_for

PIPELINES = {
    "scripted": ("--pipeline", "tests.pipelines.scripted:run", "--idle-seconds", "60"),
    "draft": ("--idle-seconds", "60"),
}
"""Options of the server by kind of job."""

SECONDS = 300.0
"""A job that takes longer has failed."""

MAX_GROWTH = 0.1
"""Fraction by which the memory of a process may have grown from the second to the last quarter of the
jobs."""


@dataclass(frozen=True)
class Sample:
    """One moment of a process.

    Attributes:
        memory: bytes.
        descriptors, threads: how many it has.
    """

    memory: int
    descriptors: int
    threads: int


def run_soak(kind: str, count: int) -> tuple[dict[str, list[Sample]], list[str]]:
    """Runs ``count`` jobs of a kind.

    Returns:
        samples of client, server and worker after every job, and sentences about what went wrong.
    """
    samples, wrong = {"client": [], "server": [], "worker": []}, []
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        watcher = Watcher(run, *PIPELINES[kind])
        try:
            for number in range(count):
                event = run_job(watcher, kind, number)
                if event.state != "finished":
                    wrong.append(f"{kind} job {number} ended as {event.state}: {event.error!r}")
                for name, process in find_processes(watcher).items():
                    samples[name].append(measure(process))
        finally:
            watcher.close()
            end_server(run)
        if left := list(run.glob("jobs/*")):
            wrong.append(f"{len(left)} folders of {kind} jobs are left")
    wrong += [f"{kind}: {sentence}" for name, own in samples.items() for sentence in find_growth(name, own)]
    return samples, wrong


def run_job(watcher: Watcher, kind: str, number: int):
    """Runs one job, discards it, and returns its last event."""
    if kind == "draft":
        box = trimesh.creation.box((1.0, 0.6, 0.8))
        mesh = api.job.MeshData(np.float32(box.vertices), np.int32(box.faces))
        job = watcher.submit("Box", mesh, draw_reference(number), settings=SMALL)
    else:
        job = watcher.submit()
    event = watcher.final(job, SECONDS)
    watcher.client.discard(job)
    wait_for(lambda: not (watcher.run_directory / "jobs" / job).exists())
    watcher.events.clear()
    return event


SMALL = api.settings.Settings(painter="draft", refine=False, texture_size=1024, azimuth=30.0, elevation=20.0)


def draw_reference(number: int) -> bytes:
    """A PNG of a box on transparent ground, in a colour of its own."""
    image = np.zeros((128, 128, 4), np.uint8)
    color = np.random.default_rng(number).integers(0, 256, 3).tolist()
    cv2.rectangle(image, (24, 34), (104, 94), (*color, 255), -1)
    return cv2.imencode(".png", image)[1].tobytes()


def find_processes(watcher: Watcher) -> dict[str, psutil.Process]:
    server = psutil.Process(api.connection.Connection.read(watcher.run_directory).pid)
    processes = {"client": psutil.Process(os.getpid()), "server": server}
    with contextlib.suppress(ValueError):
        [processes["worker"]] = server.children()
    return processes


def measure(process: psutil.Process) -> Sample:
    with process.oneshot():
        return Sample(process.memory_info().rss, process.num_fds(), process.num_threads())


def find_growth(name: str, samples: list[Sample]) -> list[str]:
    """Sentences about what a process has more of in the last quarter of the jobs than in the second."""
    quarter = len(samples) // 4
    if not quarter:
        return []
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    memory = [np.median([sample.memory for sample in part]) for part in (early, late)]
    if memory[1] > memory[0] * (1 + MAX_GROWTH):
        found.append(
            f"the memory of the {name} grew from {memory[0] / 2**20:.0f} to {memory[1] / 2**20:.0f} MiB"
        )
    for what in ("descriptors", "threads"):
        before, after = (max(getattr(sample, what) for sample in part) for part in (early, late))
        if after > before:
            found.append(f"the {name} has {after} {what} where it had {before}")
    return found
