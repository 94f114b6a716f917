"""Real servers and clients for tests of the service."""

import contextlib
import importlib
import subprocess
import sys
import time
import types
import uuid
from pathlib import Path

import numpy as np
import psutil
import zmq

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(sys.executable)
PATIENCE_SECONDS = 120.0
"""Time limit for everything that should happen. Only a failing test waits that long, however loaded the
machine is."""

NO_JOBS = {"jobs": [], "more": False}
"""The body of the answer to ``list`` of a server without jobs."""

SCRIPTED = ("--pipeline", "tests.pipelines.scripted:run", "--idle-seconds", "15")


def import_client():
    """Imports the client from the tree as the package that it is inside Blender, without the package's
    ``__init__``, which needs bpy."""
    for name, path in (("orbit_texture_tree", ROOT), ("orbit_texture_tree.addon", ROOT / "addon")):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__path__ = [str(path)]
            sys.modules[name] = module
    return importlib.import_module("orbit_texture_tree.addon.jobs.client")


client = import_client()
JobRequest = importlib.import_module("orbit_texture_tree.addon.jobs.request").JobRequest
api = types.SimpleNamespace(
    **{
        name: importlib.import_module(f"orbit_texture_tree.backend.api.{name}")
        for name in ("connection", "errors", "events", "job", "messages", "paths", "settings", "wire")
    }
)


def new_id() -> str:
    return uuid.uuid4().hex


def triangle_soup(count: int = 4):
    """A mesh of ``count`` triangles without shared vertices."""
    vertices = np.random.default_rng(0).random((3 * count, 3), np.float32)
    return api.job.MeshData(vertices, np.arange(3 * count, dtype=np.int32).reshape(-1, 3))


def wait_for(condition, seconds: float = PATIENCE_SECONDS):
    """Waits until ``condition()`` is true and returns it; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} seconds")


class Server:
    """``python -m backend serve`` in a folder of the test."""

    def __init__(self, run_directory: Path, *options: str):
        self.run_directory = run_directory
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "backend",
                "serve",
                "--run-dir",
                str(run_directory),
                *(options or SCRIPTED),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def connection(self):
        def ours():
            assert self.process.poll() is None, self.process.stdout.read().decode()
            connection = api.connection.Connection.read(self.run_directory)
            return connection if connection and connection.pid == self.process.pid else None

        return wait_for(ours)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        self.process.wait(PATIENCE_SECONDS)
        return self.process.stdout.read().decode()


class Peer:
    """A socket that speaks the protocol, for messages that the Client never sends."""

    def __init__(self, connection, greet: bool = True):
        self.context = zmq.Context()
        self.socket = api.connection.connect(self.context, connection)
        if greet:
            self.say("hello", {"version": api.paths.VERSION})
            assert self.hear("welcome")

    def say(self, message_type: str, body: dict | None = None, arrays: dict | None = None) -> None:
        self.say_frames(api.wire.pack(message_type, body, arrays))

    def say_frames(self, frames: list) -> None:
        assert self.socket.poll(PATIENCE_SECONDS * 1000, zmq.POLLOUT)
        self.socket.send_multipart(frames)

    def hear(self, *types: str, seconds: float = PATIENCE_SECONDS):
        """The next message of one of the types."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.socket.poll(left * 1000):
                message = api.wire.unpack(self.socket.recv_multipart())
                if not types or message.type in types:
                    return message
        return None

    def ask(self, message_type: str, body: dict | None = None, answer: str = ""):
        self.say(message_type, body)
        return self.hear(answer)

    def close(self) -> None:
        self.context.destroy(linger=0)


class Watcher:
    """A Client and all events that it has received."""

    def __init__(self, run_directory: Path, *options: str, python: Path = PYTHON):
        self.run_directory = run_directory
        self.client = client.Client(run_directory, python, options or SCRIPTED)
        self.events = []
        self.client.start()

    def submit(
        self, name: str = "quick", mesh=None, reference=None, job_id: str | None = None, settings=None
    ) -> str:
        """Submits a job and returns its id. Without a reference it gets a unique one, since stages that an
        equal job has finished before are not repeated."""
        job_id = job_id or new_id()
        reference = job_id.encode() if reference is None else reference
        self.client.submit(
            JobRequest(
                job_id, name, lambda: mesh or triangle_soup(), reference, settings or api.settings.Settings()
            )
        )
        return job_id

    def of(self, job_id: str) -> list:
        self.events += self.client.poll()
        return [event for event in self.events if event.job == job_id]

    def until(self, job_id: str, *states: str, stage: str = "", seconds: float = PATIENCE_SECONDS):
        """The first event of the job in one of the states (and stage)."""

        def find_event():
            return next(
                (event for event in self.of(job_id) if event.state in states and stage in ("", event.stage)),
                None,
            )

        try:
            return wait_for(find_event, seconds)
        except AssertionError:
            raise AssertionError(
                f"no {states} {stage} but {self.of(job_id)[-3:]}; {self.client.connection_error!r}"
            ) from None

    def final(self, job_id: str, seconds: float = PATIENCE_SECONDS):
        return self.until(job_id, "finished", "failed", "cancelled", seconds=seconds)

    def worker_pid(self) -> int:
        peer = Peer(api.connection.Connection.read(self.run_directory))
        with contextlib.closing(peer):
            return wait_for(
                lambda: (
                    (facts := peer.ask("status", answer="facts").body)["worker_ready"] and facts["worker_pid"]
                )
            )

    def release(self, job_id: str, stage: str) -> None:
        """Ends the action ``wait`` of a scripted stage."""
        (self.run_directory / "jobs" / job_id / f"{stage}.go").touch()

    def close(self) -> None:
        self.client.close()


def end_server(run_directory: Path) -> None:
    if connection := api.connection.Connection.read(run_directory):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(connection.pid).kill()


def server_pid(run_directory: Path) -> int:
    return api.connection.Connection.read(run_directory).pid
