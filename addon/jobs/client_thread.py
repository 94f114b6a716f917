"""The I/O thread of the client: waits for the server, and follows jobs through its restarts."""

import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import zmq

from ...backend.api import wire
from ...backend.api.call_queue import CallQueue
from ...backend.api.connection import Connection
from ...backend.api.errors import (
    Cancelled,
    NoWorker,
    OrbitError,
    OutOfMemory,
    StorageError,
    VersionMismatch,
    WorkerDied,
)
from ...backend.api.events import JobEvent, State
from ...backend.api.job import Result
from .request import JobRequest
from .server_link import ServerLink
from .server_process import ServerProcess

_GIVE_UP_SECONDS = 30.0
"""Without any answer from a server for this long, the thread gives up and reports an error."""

_TICK_SECONDS = 0.2
"""The longest wait for a message, after which the server's process is looked at."""


_MAX_LOST_SERVERS = 3
"""A job during whose sending or fetching this many servers ended is given up."""


@dataclass
class _FollowedJob:
    """A job whose events are passed on to the user of this client.

    Attributes:
        frames: the message that submits it, kept until the server is known to have the job.
        lost_servers: how many servers ended while they received it or sent its result.
        last_event: the last event that was passed on.
    """

    frames: list | None = None
    lost_servers: int = 0
    last_event: JobEvent | None = None


class ClientThread(threading.Thread):
    """Its methods run on its own thread, handed over by :meth:`post`, except where they say otherwise.

    Attributes:
        connection_error: why it has given up; nothing happens until the next request of the user.
    """

    def __init__(self, run_directory: Path, server: ServerProcess, events: queue.SimpleQueue):
        super().__init__(name="orbit-texture", daemon=True)
        self.connection_error: OrbitError | None = None
        self._run_directory, self._server, self._events = run_directory, server, events
        self._calls = CallQueue()
        self._closing = False
        self._link: ServerLink | None = None
        self._dead_connection: Connection | None = None
        self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        self._jobs: dict[str, _FollowedJob] = {}
        self._finished: list[str] = []
        self._fetching: str | None = None
        self._unsent: list[tuple[str, dict]] = []
        self._listed: list[JobEvent] = []
        self._follow_all = False

    @property
    def is_connected(self) -> bool:
        """Whether a server of our version answers. Any thread may ask."""
        link = self._link
        return link is not None and link.is_welcomed

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
                _describe_missing_module(error)
                if isinstance(error, ImportError)
                else OrbitError(
                    f"The connection to the worker failed unexpectedly ({type(error).__name__}: {error}).",
                    "restart_worker",
                )
            )
        finally:
            self._disconnect()
            self._context.destroy(linger=0)
            self._calls.close()

    # Requests of the main thread

    def submit(self, request: JobRequest) -> None:
        try:
            job = request.make_job()
            self._submit(job.id, wire.pack("submit", job.body(), job.arrays()))
        except OrbitError as error:
            self._emit(JobEvent(request.job_id, State.FAILED, error=error))
        except Exception as error:  # one broken job must not end the others
            traceback.print_exc()
            self._emit(JobEvent(request.job_id, State.FAILED, error=_describe_failure(error)))

    def download(self, job_id: str, model: str) -> None:
        self._submit(job_id, wire.pack("download", {"job": job_id, "model": model}))

    def cancel(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job and job.frames and not self.is_connected:
            # The server does not know the job yet; in case it does, make it forget the job.
            self._finish(JobEvent(job_id, State.CANCELLED, error=Cancelled()))
            self._send("discard", {"job": job_id})
        else:
            self._send("cancel", {"job": job_id})

    def retry(self, job_id: str) -> None:
        self._jobs[job_id] = _FollowedJob()
        self._send("retry", {"job": job_id})
        self.try_again()

    def order(self, job_ids: list[str]) -> None:
        self._send("order", {"jobs": job_ids})

    def discard(self, job_id: str) -> None:
        self._forget(job_id)
        self._send("discard", {"job": job_id})

    def follow(self, job_ids: tuple[str, ...] | None) -> None:
        self._follow_all = self._follow_all or job_ids is None
        for job_id in job_ids or ():
            self._jobs.setdefault(job_id, _FollowedJob())
        if self.is_connected:
            self._link.send(wire.pack("list"))
        self.try_again()

    def restart_server(self) -> None:
        self._disconnect()
        self.try_again()
        self._dead_connection = Connection.read(self._run_directory)
        self._launch(replace=True)

    def try_again(self) -> None:
        """Starts over after giving up, since the user has requested something."""
        if self.connection_error:
            self.connection_error = self._dead_connection = None
            self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS

    # The connection

    def _step(self) -> None:
        """Waits for something to happen, for a fifth of a second at most, and handles it."""
        poller = zmq.Poller()
        poller.register(self._calls, zmq.POLLIN)
        if self._link:
            self._link.register(poller)
        ready = dict(poller.poll(_TICK_SECONDS * 1000))
        if self._link:
            try:
                if message := self._link.receive(ready):
                    self._on_message(message)
            except OrbitError as error:
                self._give_up(error)
        for call in self._calls.take():
            call()
        if self._link and self._link.is_lost:
            if self._link.is_welcomed:
                self._give_up_at = time.monotonic() + _GIVE_UP_SECONDS
                self._count_lost_server()
            self._dead_connection = self._link.connection
            self._disconnect()
        if not self.is_connected and not self.connection_error:
            self._connect_or_launch()

    def _connect_or_launch(self) -> None:
        """Connects to the server named by the connection file, or starts one if that server is known to be
        dead."""
        if time.monotonic() > self._give_up_at:
            self._give_up(NoWorker("The worker does not answer. Restart it.", "restart_worker"))
        elif self._link:
            # The server has not answered yet.
            return
        elif (connection := Connection.read(self._run_directory)) and connection != self._dead_connection:
            self._link = ServerLink(self._context, connection)
        elif self._server.is_running:
            # The new server has not written its connection file yet.
            return
        elif error := self._server.pop_failure():
            self._give_up(error)
        elif self._server.pop_deferral():
            # The server that seemed dead is alive, or one that just started will write its file soon.
            self._dead_connection = None
        else:
            self._launch()

    def _count_lost_server(self) -> None:
        """Gives up what the server was receiving or sending when it ended, if the same has happened before:
        it may be what ends the servers, and all other jobs would wait for ever."""
        in_flight = [job_id for job_id, job in self._jobs.items() if job.frames or job_id == self._fetching]
        self._fetching = None
        for job_id in in_flight:
            self._jobs[job_id].lost_servers += 1
            if self._jobs[job_id].lost_servers >= _MAX_LOST_SERVERS:
                task = "received this job" if self._jobs[job_id].frames else "sent the result of this job"
                error = WorkerDied(
                    f"The worker ended {_MAX_LOST_SERVERS} times while it {task}. Start the job again with a "
                    "smaller texture or a simpler mesh."
                )
                self._finish(JobEvent(job_id, State.FAILED, error=error))

    def _launch(self, replace: bool = False) -> None:
        try:
            self._server.launch(replace)
        except OrbitError as error:
            self._give_up(error)

    def _disconnect(self) -> None:
        self._fetching = None
        if self._link:
            self._link.close()
            self._link = None

    def _give_up(self, error: OrbitError) -> None:
        """Fails all followed jobs and stops until the next request. Jobs that the server has are safe in its
        journal."""
        self._disconnect()
        self.connection_error = error
        for job_id in list(self._jobs):
            self._finish(JobEvent(job_id, State.FAILED, error=error))

    # Messages of the server

    def _on_message(self, message: wire.Message) -> None:
        body = message.body
        if message.type == "welcome":
            self._on_welcome()
        elif message.type == "event":
            self._on_event(JobEvent.from_dict(body))
        elif message.type == "jobs":
            self._listed += map(JobEvent.from_dict, body["jobs"])
            if not body["more"]:
                listed, self._listed = self._listed, []
                self._on_job_list(listed)
        elif message.type == "preview" and (job := self._jobs.get(body["job"])) and job.last_event:
            self._emit(replace(job.last_event, preview=message.arrays["pictures"]))
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
            self._on_refusal(OrbitError.from_dict(body))

    def _on_welcome(self) -> None:
        """Sends a server that has just accepted us what it missed, and asks for the state of the jobs."""
        self._dead_connection = None
        self._listed = []
        self._server.on_answer()
        for job in self._jobs.values():
            if job.frames:
                self._link.send(job.frames)
        unsent, self._unsent = self._unsent, []
        for message_type, body in unsent:
            self._send(message_type, body)
        self._link.send(wire.pack("list"))

    def _on_refusal(self, error: OrbitError) -> None:
        if isinstance(error, VersionMismatch) or not self.is_connected:
            self._give_up(error)
            return
        # The server does not say what it refused: it can only be a job that it has not accepted yet.
        for job_id in [job_id for job_id, job in self._jobs.items() if job.frames]:
            self._finish(JobEvent(job_id, State.FAILED, error=error))

    def _on_event(self, event: JobEvent) -> None:
        job = self._jobs.get(event.job)
        if job is None:
            return
        if job.frames:
            job.frames, job.lost_servers = None, 0
        if event.state == State.FINISHED:
            if event.job not in self._finished:
                self._finished.append(event.job)
            self._fetch_next()
        elif event.state.final:
            self._finish(event)
        elif event != job.last_event:
            job.last_event = event
            self._emit(event)

    def _on_job_list(self, events: list[JobEvent]) -> None:
        # A server sends a list also when it could not send something, which may have been a result.
        self._fetching = None
        if self._follow_all:
            self._follow_all = False
            for event in events:
                self._jobs.setdefault(event.job, _FollowedJob())
        for event in events:
            self._on_event(event)
        known = {event.job for event in events}
        for job_id in [
            job_id for job_id, job in self._jobs.items() if not job.frames and job_id not in known
        ]:
            self._finish(
                JobEvent(
                    job_id,
                    State.FAILED,
                    error=StorageError("The worker no longer has this job. Start it again."),
                )
            )

    def _fetch_next(self) -> None:
        """Requests one result at a time, in the order in which they were finished, so that it is known which
        one ended a server. What may have ended one comes last."""
        if self._finished and self._fetching is None and self.is_connected:
            self._fetching = min(self._finished, key=lambda job_id: self._jobs[job_id].lost_servers)
            self._link.send(wire.pack("fetch", {"job": self._fetching}))

    def _submit(self, job_id: str, frames: list) -> None:
        self._jobs[job_id] = _FollowedJob(frames)
        self.try_again()
        if self.is_connected:
            self._link.send(frames)

    def _send(self, message_type: str, body: dict) -> None:
        """Sends a message now, or as soon as a server is connected."""
        if self.is_connected:
            self._link.send(wire.pack(message_type, body))
        else:
            self._unsent.append((message_type, body))

    def _finish(self, event: JobEvent) -> None:
        self._forget(event.job)
        self._emit(event)

    def _forget(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)
        if job_id in self._finished:
            self._finished.remove(job_id)
        if job_id == self._fetching:
            self._fetching = None
            self._fetch_next()

    def _emit(self, event: JobEvent) -> None:
        self._events.put(event)


def _describe_missing_module(error: ImportError) -> OrbitError:
    return OrbitError(
        f"A part of Orbit Texture is gone from disk ({error}), perhaps removed by another Blender. Save your "
        "file and restart Blender."
    )


def _describe_failure(error: Exception) -> OrbitError:
    if isinstance(error, ImportError):
        return _describe_missing_module(error)
    if isinstance(error, MemoryError):
        return OutOfMemory(
            "There is not enough memory to send the mesh. Close other programs, then retry.", "retry"
        )
    return OrbitError(
        f"The mesh could not be sent ({type(error).__name__}: {error}). Please report this.", "retry"
    )
