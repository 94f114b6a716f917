"""The server: one socket, one loop that never blocks. ``docs/protocol.md`` specifies its messages."""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import zmq

from ..api import wire
from ..api.call_queue import CallQueue
from ..api.connection import Connection, ServerSocket, make_private
from ..api.errors import NoWorker, OrbitError, ProtocolError, VersionMismatch
from ..api.events import JobEvent
from ..api.messages import FROM_CLIENT
from ..api.paths import VERSION, was_reinstalled
from . import logs
from .jobs import Jobs
from .journal import JOURNAL_FILE, Journal, JournalInUse
from .supervisor import SILENCE_SECONDS, Supervisor
from .worker import PIPELINE

_log = logging.getLogger(__name__)

IDLE_SECONDS = 600.0
"""A server that has had neither clients nor jobs for this time ends."""

_CLIENT_SECONDS = 10.0
"""A client counts as connected for this time after its last message."""

_TICK_SECONDS = 1.0
"""The loop runs at least this often."""

_CHECK_SECONDS = 1.0
"""Interval at which the connection file is checked."""

_LIST_PAGE = 150
"""Jobs per message of a list: as many as fit into a frame if the errors of all are as long as they may be."""

_TRUNCATE_SECONDS = 60.0
"""Interval at which the log files are checked."""

_STOP_SECONDS = 3.0
"""Time that an old server has to end after each signal."""


def serve(
    run_directory: Path,
    idle_seconds: float = IDLE_SECONDS,
    pipeline: str = PIPELINE,
    replace: bool = False,
    silence_seconds: float = SILENCE_SECONDS,
) -> None:
    """Serves the jobs of ``run_directory`` until it is stopped, or idle for ``idle_seconds``.

    Args:
        silence_seconds: a worker that says and does nothing for this time is replaced.
        replace: first stop the server that runs there now, whatever its version, even if it is stuck.

    If a server runs there already, this is reported and nothing else happens.

    Raises:
        StorageError: the folder cannot be written.
    """
    make_private(run_directory)
    if replace:
        stop_running_server(run_directory)
    try:
        server = Server(run_directory, idle_seconds, pipeline, silence_seconds)
    except JournalInUse as error:
        print(error.message, file=sys.stderr)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    _redirect_output(run_directory / "server.log")
    server.run()


@dataclass
class _Client:
    """One connection that has sent ``hello``.

    Attributes:
        last_message: time of its last message, on the monotonic clock.
        missed: whether its queue was full and it lost a message, so that the state of all jobs must be
            resent.
    """

    last_message: float = field(default_factory=time.monotonic)
    missed: bool = False


class Server:
    """Opens the journal and the socket and starts the worker at once; :meth:`run` serves."""

    def __init__(
        self,
        run_directory: Path,
        idle_seconds: float,
        pipeline: str,
        silence_seconds: float = SILENCE_SECONDS,
    ):
        self._directory = run_directory
        self._idle_seconds = idle_seconds
        self._stopping = False
        self._clients: dict[bytes, _Client] = {}
        self._journal = Journal(run_directory / JOURNAL_FILE)
        # Two threads, so that a client that sends a large mesh does not delay the others.
        self._context = zmq.Context(io_threads=2)
        self._calls = CallQueue()
        self._socket = ServerSocket(self._context)
        self._supervisor = Supervisor(run_directory, pipeline, self._calls.put, silence_seconds)
        self._jobs = Jobs(
            run_directory,
            self._journal,
            self._supervisor,
            self._publish,
            self._publish_preview,
            self._calls.put,
        )
        self._connection = self._socket.connection(_start_time(psutil.Process()))
        self._handlers: dict[str, Callable[[bytes, wire.Message], None]] = {
            "ping": lambda client, message: self._send(client, "pong"),
            "submit": self._submit,
            "download": self._download,
            "cancel": lambda client, message: self._jobs.cancel(message.body["job"]),
            "retry": lambda client, message: self._jobs.retry(message.body["job"]),
            "order": lambda client, message: self._jobs.move_to_front(message.body["jobs"]),
            "discard": lambda client, message: self._jobs.discard(message.body["job"]),
            "fetch": self._fetch,
            "list": lambda client, message: self._send_jobs(client),
            "status": self._status,
            "shutdown": lambda client, message: self.stop(),
        }

    def run(self) -> None:
        poller = zmq.Poller()
        for readable in (self._socket.router, self._socket.zap, self._calls):
            poller.register(readable, zmq.POLLIN)
        self._connection.write(self._directory)
        _log.info("serving on %s, version %s", self._connection.endpoint, VERSION)
        last_busy = last_truncate = last_check = time.monotonic()
        try:
            while not self._stopping:
                ready = dict(poller.poll(self._poll_timeout() * 1000))
                if was_reinstalled():
                    # Checked before any message is answered: clients start the new server, which continues
                    # the jobs.
                    _log.info("Orbit Texture was reinstalled; ending")
                    break
                if self._socket.zap in ready:
                    _attempt(self._socket.authenticate)
                if self._socket.router in ready:
                    _attempt(self._receive)
                for call in self._calls.take():
                    _attempt(call)
                _attempt(self._supervisor.tick)
                # Nothing to do unless an error above kept the next job from starting.
                _attempt(self._jobs.start_next)
                now = time.monotonic()
                if self._jobs.busy or any(
                    now - client.last_message < _CLIENT_SECONDS for client in self._clients.values()
                ):
                    last_busy = now
                elif now - last_busy > self._idle_seconds:
                    _log.info("nothing to do; ending")
                    break
                if now - last_check > _CHECK_SECONDS:
                    last_check = now
                    _attempt(self._check_connection_file)
                if now - last_truncate > _TRUNCATE_SECONDS:
                    last_truncate = now
                    logs.truncate_log(self._directory / "server.log")
                    logs.truncate_log(self._directory / "worker.log")
        finally:
            self._connection.remove(self._directory)
            self._jobs.close()
            self._journal.close()
            self._context.destroy(linger=0)

    def stop(self) -> None:
        """Ends :meth:`run` soon. A signal handler may call it."""
        self._stopping = True
        self._calls.put(lambda: None)

    def _check_connection_file(self) -> None:
        """Writes the connection file again if somebody has deleted or damaged it, since nobody could reach
        this server without it."""
        found = Connection.read(self._directory)
        if found is None:
            _log.warning("the connection file is missing or damaged; writing it again")
            make_private(self._directory)
            self._connection.write(self._directory)
        elif found != self._connection:
            _log.info("another server serves this folder; ending")
            self.stop()

    def _poll_timeout(self) -> float:
        """Seconds until the loop must run again even if no message arrives."""
        deadline = self._supervisor.deadline
        return (
            _TICK_SECONDS if deadline is None else min(max(deadline - time.monotonic(), 0.0), _TICK_SECONDS)
        )

    def _receive(self) -> None:
        """Receives one message and answers it. If it is invalid, an error is sent back and nothing else
        happens."""
        identity, *frames = self._socket.router.recv_multipart(copy=False)
        client = identity.bytes
        try:
            message = wire.unpack([frame.buffer for frame in frames])
            if message.type == "hello":
                self._welcome(client, message.body["version"])
            elif client not in self._clients:
                raise ProtocolError("The first message of a connection must be 'hello'.")
            elif message.type not in FROM_CLIENT:
                raise ProtocolError(f"A client does not send messages of the type '{message.type}'.")
            else:
                self._resend_missed(client)
                self._handlers[message.type](client, message)
        except OrbitError as error:
            self._send(client, "error", error.to_dict())
        except Exception:
            _log.exception("a message could not be answered")
            self._send(
                client,
                "error",
                OrbitError("The server failed at this message. The details are in server.log.").to_dict(),
            )

    def _welcome(self, client: bytes, version: str) -> None:
        if version != VERSION:
            raise VersionMismatch(
                f"Blender runs Orbit Texture {version} and the worker {VERSION}. Restart the worker.",
                "restart_worker",
            )
        self._clients[client] = _Client()
        self._send(client, "welcome", {"version": VERSION, "pid": os.getpid()})

    def _resend_missed(self, client: bytes) -> None:
        known = self._clients[client]
        known.last_message = time.monotonic()
        if known.missed:
            known.missed = False
            self._send_jobs(client)

    def _submit(self, client: bytes, message: wire.Message) -> None:
        if event := self._jobs.submit(message.body, message.arrays):
            self._send(client, "event", event.to_dict())

    def _download(self, client: bytes, message: wire.Message) -> None:
        if event := self._jobs.download(message.body["job"], message.body["model"]):
            self._send(client, "event", event.to_dict())

    def _fetch(self, client: bytes, message: wire.Message) -> None:
        def reply(answer: list | JobEvent) -> None:
            if isinstance(answer, JobEvent):
                self._send(client, "event", answer.to_dict())
            else:
                self._send_frames(client, answer)

        self._jobs.fetch(message.body["job"], reply)

    def _status(self, client: bytes, message: wire.Message) -> None:
        self._send(
            client,
            "facts",
            {
                "version": VERSION,
                "pid": os.getpid(),
                "worker_pid": self._supervisor.pid,
                "worker_ready": self._supervisor.ready,
                "clients": len(self._clients),
                "run_directory": str(self._directory),
            },
        )

    def _send_jobs(self, client: bytes) -> None:
        events = [event.to_dict() for event in self._jobs.events()]
        for first in range(0, max(len(events), 1), _LIST_PAGE):
            end = first + _LIST_PAGE
            self._send(client, "jobs", {"jobs": events[first:end], "more": end < len(events)})

    def _publish(self, event: JobEvent) -> None:
        self._send_to_all(wire.pack("event", event.to_dict()))

    def _publish_preview(self, job_id: str, images: np.ndarray) -> None:
        self._send_to_all(wire.pack("preview", {"job": job_id}, {"pictures": images}))

    def _send_to_all(self, frames: list) -> None:
        for client in list(self._clients):
            self._send_frames(client, frames)

    def _send(
        self, client: bytes, message_type: str, body: dict | None = None, arrays: dict | None = None
    ) -> None:
        self._send_frames(client, wire.pack(message_type, body, arrays))

    def _send_frames(self, client: bytes, frames: list) -> None:
        """Sends a packed message. One that does not fit into the client's queue is lost, and the state of all
        jobs is sent later."""
        known = self._clients.get(client)
        if known and known.missed:
            return
        try:
            self._socket.router.send_multipart([client, *frames], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            if known:
                known.missed = True
        except zmq.ZMQError as error:
            # No route: the connection is closed, and an identity is never reused.
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._clients.pop(client, None)


def _attempt(call: Callable[[], object]) -> None:
    """Calls a function. An error that nothing else has handled is logged and must not end the loop, since all
    jobs depend on it."""
    try:
        call()
    except Exception:
        _log.exception("an unexpected error")


def stop_running_server(run_directory: Path) -> None:
    """Stops the running server, if there is one, whatever its version, even if it is stuck. Its jobs are safe
    in the journal.

    Raises:
        NoWorker: it cannot be stopped.
    """
    connection = Connection.read(run_directory)
    if connection is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(connection.pid)
        # The process id may have been reused since. Earlier versions wrote the time since the epoch.
        if all(
            abs(start - connection.started) > 1.0 for start in (_start_time(process), process.create_time())
        ):
            return
        for end in (process.terminate, process.kill):
            end()
            until = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < until:
                # It stays a zombie until its parent collects it.
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                    return
                time.sleep(0.02)
        raise NoWorker(f"The old worker (process {connection.pid}) cannot be stopped. Restart the computer.")


def _start_time(process: psutil.Process) -> float:
    """When a process was started, in seconds on a clock that nobody sets."""
    # Linux knows the time since booting, to which psutil adds the time of booting; that moves with the clock.
    return process.create_time() - (psutil.boot_time() if sys.platform == "linux" else 0.0)


def _redirect_output(path: Path) -> None:
    """Redirects all output to the log file, unless it goes to a terminal."""
    if not sys.stderr.isatty():
        with open(path, "ab") as file:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
