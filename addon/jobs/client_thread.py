"""The thread that waits for the server, and follows jobs through its restarts."""

import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import zmq

from ...backend.api import wire
from ...backend.api.call_queue import CallQueue
from ...backend.api.connection import Connection
from ...backend.api.errors import (
    Cancelled,
    InvalidImage,
    NoWorker,
    OrbitError,
    OutOfMemory,
    StorageError,
    VersionMismatch,
)
from ...backend.api.events import JobEvent, State
from ...backend.api.job import Job, Kept, MeshData, Result
from ...backend.api.settings import Settings
from .server_link import Link
from .server_process import ServerProcess

Reference = Path | bytes | np.ndarray | Callable[[], np.ndarray]
"""A file, its bytes, pixels as :class:`~backend.api.job.Job` takes them, or what makes the pixels, on the
client's thread."""

_GIVE_UP_SECONDS = 30.0
_TICK_SECONDS = 0.2


@dataclass
class _Followed:
    """A job whose events the user of this client wants.

    Attributes:
        frames: the message that submits it, kept until the server is known to have the job.
        fetching: its result has been asked for.
        told: the last event that was passed on.
    """

    frames: list | None = None
    fetching: bool = False
    told: JobEvent | None = None


class Courier(threading.Thread):
    """Its methods run on its own thread, handed over by :meth:`post`, except where they say otherwise.

    Attributes:
        problem: why it has given up; nothing happens until the user wants something again.
    """

    def __init__(self, run_directory: Path, server: ServerProcess, events: queue.SimpleQueue):
        super().__init__(name="orbit-texture", daemon=True)
        self.problem: OrbitError | None = None
        self._run_directory, self._server, self._events = run_directory, server, events
        self._calls = CallQueue()
        self._closing = False
        self._link: Link | None = None
        self._dead: Connection | None = None
        self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        self._jobs: dict[str, _Followed] = {}
        self._untold: list[tuple[str, dict]] = []
        self._follow_all = False

    @property
    def welcomed(self) -> bool:
        """A server of our version answers. Any thread may ask."""
        link = self._link
        return link is not None and link.welcomed

    def post(self, call: Callable[[], None]) -> None:
        """Any thread may call it."""
        self._calls.put(call)

    def close(self, timeout: float) -> None:
        """The main thread calls it."""
        self._closing = True
        self._calls.put(lambda: None)
        self.join(timeout)

    def run(self) -> None:
        self._context = zmq.Context()
        try:
            while not self._closing:
                self._step()
        except Exception as error:
            traceback.print_exc()
            self._give_up(
                OrbitError(
                    f"The connection to the worker failed unexpectedly ({type(error).__name__}: {error}).",
                    "restart_worker",
                )
            )
        finally:
            self._disconnect()
            self._context.destroy(linger=0)
            self._calls.close()

    # What the main thread asks for

    def submit(
        self,
        id: str,
        name: str,
        mesh: Callable[[], MeshData],
        reference: Reference,
        settings: Settings,
        kept: Kept | None,
    ) -> None:
        try:
            job = Job(id, name, mesh(), _read(reference), settings, kept)
            self._start(id, wire.pack("submit", job.body(), job.arrays()))
        except OrbitError as error:
            self._emit(JobEvent(id, State.FAILED, error=error))
        except Exception as error:  # what is wrong with one job must not be the end of the others
            traceback.print_exc()
            self._emit(JobEvent(id, State.FAILED, error=_unexpected(error)))

    def download(self, id: str, model: str) -> None:
        self._start(id, wire.pack("download", {"job": id, "model": model}))

    def cancel(self, id: str) -> None:
        job = self._jobs.get(id)
        if job and job.frames and not self.welcomed:
            # The server never heard of it, or if it did, it shall forget it.
            self._finish(JobEvent(id, State.CANCELLED, error=Cancelled()))
            self._tell("discard", {"job": id})
        else:
            self._tell("cancel", {"job": id})

    def retry(self, id: str) -> None:
        self._jobs[id] = _Followed()
        self._tell("retry", {"job": id})
        self.try_again()

    def order(self, ids: list[str]) -> None:
        self._tell("order", {"jobs": ids})

    def discard(self, id: str) -> None:
        self._jobs.pop(id, None)
        self._tell("discard", {"job": id})

    def follow(self, ids: tuple[str, ...] | None) -> None:
        self._follow_all = self._follow_all or ids is None
        for id in ids or ():
            self._jobs.setdefault(id, _Followed())
        if self.welcomed:
            self._link.send(wire.pack("list"))
        self.try_again()

    def restart(self) -> None:
        self._disconnect()
        self.try_again()
        self._dead = Connection.read(self._run_directory)
        self._launch(replace=True)

    def try_again(self) -> None:
        """After giving up, someone wants something again."""
        if self.problem:
            self.problem = self._dead = None
            self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS

    # The connection

    def _step(self) -> None:
        """Waits until something happens, for a fifth of a second at most, and does what there is to do."""
        poller = zmq.Poller()
        poller.register(self._calls, zmq.POLLIN)
        if self._link:
            self._link.register(poller)
        ready = dict(poller.poll(_TICK_SECONDS * 1000))
        if self._link:
            try:
                if message := self._link.receive(ready):
                    self._hear(message)
            except OrbitError as error:
                self._give_up(error)
        for call in self._calls.take():
            call()
        if self._link and self._link.lost:
            if self._link.welcomed:
                self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS
            self._dead = self._link.connection
            self._disconnect()
        if not self.welcomed and not self.problem:
            self._reach()

    def _reach(self) -> None:
        """Connects to the server that the connection file tells of, or starts one if that is known to be
        dead."""
        if time.monotonic() > self._give_up_at:
            self._give_up(NoWorker("The worker does not answer. Restart it.", "restart_worker"))
        elif self._link:
            # It has yet to be welcomed.
            return
        elif (connection := Connection.read(self._run_directory)) and connection != self._dead:
            self._link = Link(self._context, connection)
        elif self._server.running:
            # It has yet to write its file.
            return
        elif error := self._server.failure():
            self._give_up(error)
        elif self._server.deferred():
            # Then the one that seemed dead lives, or the one that has just started will write its file soon.
            self._dead = None
        else:
            self._launch()

    def _launch(self, replace: bool = False) -> None:
        try:
            self._server.launch(replace)
        except OrbitError as error:
            self._give_up(error)

    def _disconnect(self) -> None:
        if self._link:
            self._link.close()
            self._link = None

    def _give_up(self, error: OrbitError) -> None:
        """Nothing goes on until the user does something. The jobs that the server has are safe in its
        journal."""
        self._disconnect()
        self.problem = error
        for id in list(self._jobs):
            self._finish(JobEvent(id, State.FAILED, error=error))

    # What the server says

    def _hear(self, message: wire.Message) -> None:
        body = message.body
        if message.type == "welcome":
            self._catch_up()
        elif message.type == "event":
            self._take(JobEvent.from_dict(body))
        elif message.type == "jobs":
            self._take_all([JobEvent.from_dict(event) for event in body["jobs"]])
        elif message.type == "preview" and (job := self._jobs.get(body["job"])) and job.told:
            self._emit(replace(job.told, preview=message.arrays["pictures"]))
        elif message.type == "result" and body["job"] in self._jobs:
            self._finish(
                JobEvent(
                    body["job"],
                    State.FINISHED,
                    fraction=1.0,
                    result=Result.from_parts(body["report"], message.arrays),
                )
            )
        elif message.type == "error":
            self._refused(OrbitError.from_dict(body))

    def _catch_up(self) -> None:
        """Tells a server that has just welcomed us what it missed, and asks what we did."""
        self._dead = None
        self._server.answered()
        for job in self._jobs.values():
            job.fetching = False
            if job.frames:
                self._link.send(job.frames)
        untold, self._untold = self._untold, []
        for type, body in untold:
            self._tell(type, body)
        self._link.send(wire.pack("list"))

    def _refused(self, error: OrbitError) -> None:
        if isinstance(error, VersionMismatch) or not self.welcomed:
            self._give_up(error)
            return
        # The server does not say what it refused: it can only be what it has not taken yet.
        for id in [id for id, job in self._jobs.items() if job.frames]:
            self._finish(JobEvent(id, State.FAILED, error=error))

    def _take(self, event: JobEvent) -> None:
        job = self._jobs.get(event.job)
        if job is None:
            return
        job.frames = None
        if event.state == State.FINISHED:
            if not job.fetching:
                job.fetching = True
                self._link.send(wire.pack("fetch", {"job": event.job}))
        elif event.state.final:
            self._finish(event)
        elif event != job.told:
            job.told = event
            self._emit(event)

    def _take_all(self, events: list[JobEvent]) -> None:
        if self._follow_all:
            self._follow_all = False
            for event in events:
                self._jobs.setdefault(event.job, _Followed())
        for event in events:
            self._take(event)
        known = {event.job for event in events}
        for id in [id for id, job in self._jobs.items() if not job.frames and id not in known]:
            self._finish(
                JobEvent(
                    id,
                    State.FAILED,
                    error=StorageError("The worker does not have this job any more. Start it anew."),
                )
            )

    def _start(self, id: str, frames: list) -> None:
        self._jobs[id] = _Followed(frames)
        self.try_again()
        if self.welcomed:
            self._link.send(frames)

    def _tell(self, type: str, body: dict) -> None:
        """Now, or once a server welcomes us."""
        if self.welcomed:
            self._link.send(wire.pack(type, body))
        else:
            self._untold.append((type, body))

    def _finish(self, event: JobEvent) -> None:
        self._jobs.pop(event.job, None)
        self._emit(event)

    def _emit(self, event: JobEvent) -> None:
        self._events.put(event)


def _unexpected(error: Exception) -> OrbitError:
    if isinstance(error, MemoryError):
        return OutOfMemory(
            "There is not enough memory to send the mesh. Close other programs, then retry.", "retry"
        )
    return OrbitError(
        f"The mesh could not be sent ({type(error).__name__}: {error}). Please report this.", "retry"
    )


def _read(reference: Reference) -> np.ndarray:
    if isinstance(reference, np.ndarray):
        pixels = reference
    elif isinstance(reference, bytes):
        pixels = np.frombuffer(reference, np.uint8)
    elif callable(reference):
        pixels = reference()
    else:
        try:
            pixels = np.fromfile(reference, np.uint8)
        except OSError as error:
            raise InvalidImage(
                f"The reference image {reference} cannot be read ({error.strerror or error}). "
                "Choose another file."
            ) from error
    if pixels.nbytes > wire.MAX_FRAME:
        raise InvalidImage(
            f"The reference image has {pixels.nbytes / 2**20:,.0f} MiB and the limit is "
            f"{wire.MAX_FRAME >> 20} MiB. Scale it down."
        )
    if pixels.size == 0:
        raise InvalidImage("The reference image is empty. Choose another file.")
    return pixels
