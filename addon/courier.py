"""The thread that talks to the server: it owns the socket, and follows jobs through restarts of the server."""

import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zmq
from zmq.utils.monitor import recv_monitor_message

from ..backend.api import wire
from ..backend.api.connection import Connection, connect
from ..backend.api.errors import Cancelled, InvalidImage, NoWorker, OrbitError, StorageError, VersionMismatch
from ..backend.api.events import JobEvent, State
from ..backend.api.job import Job, MeshData, Result
from ..backend.api.mailbox import Mailbox
from ..backend.api.paths import VERSION
from ..backend.api.settings import Settings
from .server_process import ServerProcess

Reference = Path | bytes | np.ndarray
"""A file, its bytes, or pixels as :class:`~backend.api.job.Job` takes them."""

_WELCOME_SECONDS = 3.0
_GIVE_UP_SECONDS = 30.0
_PING_INTERVAL = 2.0
_SILENCE_SECONDS = 10.0
_TICK_SECONDS = 0.2

_LOST = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL \
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


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
    """The thread that owns the socket. Its methods run on it, handed over by :meth:`post`, except where they say otherwise."""

    def __init__(self, run_directory: Path, server: ServerProcess, events: queue.SimpleQueue):
        super().__init__(name="orbit-texture", daemon=True)
        self.welcomed = False
        self.problem: OrbitError | None = None
        self._run_directory, self._server, self._events = run_directory, server, events
        self._mailbox = Mailbox()
        self._closing = False
        self._jobs: dict[str, _Followed] = {}
        self._orders: list[tuple[str, str]] = []
        self._follow_all = False
        self._socket: zmq.Socket | None = None
        self._monitor: zmq.Socket | None = None
        self._connection: Connection | None = None
        self._dead: Connection | None = None
        self._greeted = False
        self._since = self._heard = self._pinged = 0.0
        self._give_up_at = 0.0

    def post(self, call: Callable[[], None]) -> None:
        """Any thread may call it."""
        self._mailbox.put(call)

    def close(self, timeout: float) -> None:
        """The main thread calls it."""
        self._closing = True
        self._mailbox.put(lambda: None)
        self.join(timeout)

    def run(self) -> None:
        self._context = zmq.Context()
        self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        try:
            while not self._closing:
                self._step()
        except Exception as error:
            traceback.print_exc()
            self._give_up(OrbitError(f"The connection to the worker failed unexpectedly ({type(error).__name__}: {error}).",
                                     "restart_worker"))
        finally:
            self._disconnect()
            self._context.destroy(linger=0)
            self._mailbox.close()

    # What the main thread asks for

    def submit(self, id: str, name: str, mesh: MeshData, reference: Reference, settings: Settings) -> None:
        try:
            job = Job(id, name, mesh, _read(reference), settings)
            self._jobs[id] = _Followed(wire.pack("submit", job.body(), job.arrays()))
        except OrbitError as error:
            self._emit(JobEvent(id, State.FAILED, error=error))
            return
        self.try_again()
        if self.welcomed:
            self._send_frames(self._jobs[id].frames)

    def cancel(self, id: str) -> None:
        job = self._jobs.get(id)
        if job and job.frames and not self.welcomed:
            # The server never heard of it, or if it did, it shall forget it.
            self._finish(JobEvent(id, State.CANCELLED, error=Cancelled()))
            self._order("discard", id)
        else:
            self._order("cancel", id)

    def retry(self, id: str) -> None:
        self._jobs[id] = _Followed()
        self._order("retry", id)
        self.try_again()

    def discard(self, id: str) -> None:
        self._jobs.pop(id, None)
        self._order("discard", id)

    def follow(self, ids: tuple[str, ...] | None) -> None:
        self._follow_all = self._follow_all or ids is None
        for id in ids or ():
            self._jobs.setdefault(id, _Followed())
        if self.welcomed:
            self._send("list")
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

    # The loop

    def _step(self) -> None:
        poller = zmq.Poller()
        poller.register(self._mailbox, zmq.POLLIN)
        if self._socket:
            # Writable means that the handshake is through, since nothing is queued before that.
            poller.register(self._socket, zmq.POLLIN if self._greeted else zmq.POLLIN | zmq.POLLOUT)
            poller.register(self._monitor, zmq.POLLIN)
        ready = dict(poller.poll(_TICK_SECONDS * 1000))
        if self._socket and ready.get(self._socket, 0) & zmq.POLLIN:
            self._receive()
        if self._socket and ready.get(self._socket, 0) & zmq.POLLOUT and not self._greeted:
            self._greeted = True
            self._send("hello", {"version": VERSION})
        if self._monitor and self._monitor in ready and recv_monitor_message(self._monitor)["event"] & _LOST:
            self._lost()
        for call in self._mailbox.take():
            call()
        self._keep_up()

    def _keep_up(self) -> None:
        now = time.monotonic()
        if self.problem:
            return
        if self.welcomed:
            if now - self._heard > _SILENCE_SECONDS:
                self._lost()
            elif now - self._pinged > _PING_INTERVAL:
                self._pinged = now
                self._send("ping")
        elif now > self._give_up_at:
            self._give_up(NoWorker("The worker does not answer. Restart it.", "restart_worker"))
        elif self._socket:
            if now - self._since > _WELCOME_SECONDS:
                self._lost()
        else:
            self._reach()

    def _reach(self) -> None:
        """Connects to the server that the connection file tells of, or starts one if that is known to be dead."""
        connection = Connection.read(self._run_directory)
        if connection and connection != self._dead:
            self._connection = connection
            self._socket = connect(self._context, connection)
            self._monitor = self._socket.get_monitor_socket(_LOST)
            self._greeted, self._since = False, time.monotonic()
        elif self._server.running:
            pass
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

    def _lost(self) -> None:
        if self.welcomed:
            self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        self._dead = self._connection
        self._disconnect()

    def _disconnect(self) -> None:
        self.welcomed = False
        if self._socket:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._socket.close(linger=0)
            self._socket = self._monitor = None

    def _give_up(self, error: OrbitError) -> None:
        """Nothing goes on until the user does something. The jobs that the server has are safe in its journal."""
        self._disconnect()
        self.problem = error
        for id in list(self._jobs):
            self._finish(JobEvent(id, State.FAILED, error=error))

    # What the server says

    def _receive(self) -> None:
        frames = self._socket.recv_multipart(copy=False)
        self._heard = time.monotonic()
        try:
            message = wire.unpack([frame.buffer for frame in frames])
        except OrbitError as error:
            self._give_up(error)
            return
        body = message.body
        if message.type == "welcome":
            self._welcome()
        elif message.type == "event":
            self._take(JobEvent.from_dict(body))
        elif message.type == "jobs":
            self._take_all([JobEvent.from_dict(event) for event in body["jobs"]])
        elif message.type == "result" and body["job"] in self._jobs:
            self._finish(JobEvent(body["job"], State.FINISHED, fraction=1.0, result=Result.from_parts(body["report"], message.arrays)))
        elif message.type == "error":
            self._refused(OrbitError.from_dict(body))

    def _welcome(self) -> None:
        self.welcomed, self.problem, self._dead = True, None, None
        self._server.answered()
        self._pinged = time.monotonic()
        orders, self._orders = self._orders, []
        for job in self._jobs.values():
            job.fetching = False
            if job.frames:
                self._send_frames(job.frames)
        for type, id in orders:
            self._order(type, id)
        self._send("list")

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
                self._send("fetch", {"job": event.job})
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
            self._finish(JobEvent(id, State.FAILED, error=StorageError("The worker does not have this job any more. Start it anew.")))

    # Sending

    def _order(self, type: str, id: str) -> None:
        if self.welcomed:
            self._send(type, {"job": id})
        else:
            self._orders.append((type, id))

    def _send(self, type: str, body: dict | None = None) -> None:
        self._send_frames(wire.pack(type, body))

    def _send_frames(self, frames: list) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError:
            self._lost()

    def _finish(self, event: JobEvent) -> None:
        self._jobs.pop(event.job, None)
        self._emit(event)

    def _emit(self, event: JobEvent) -> None:
        self._events.put(event)


def _read(reference: Reference) -> np.ndarray:
    if isinstance(reference, np.ndarray):
        pixels = reference
    elif isinstance(reference, bytes):
        pixels = np.frombuffer(reference, np.uint8)
    else:
        try:
            pixels = np.fromfile(reference, np.uint8)
        except OSError as error:
            raise InvalidImage(f"The reference image {reference} cannot be read ({error.strerror or error}). "
                               "Choose another file.") from error
    if pixels.nbytes > wire.MAX_FRAME:
        raise InvalidImage(f"The reference image has {pixels.nbytes / 2**20:,.0f} MiB and the limit is {wire.MAX_FRAME >> 20} MiB. "
                           "Scale it down.")
    if pixels.size == 0:
        raise InvalidImage("The reference image is empty. Choose another file.")
    return pixels
