"""The server: one socket, one loop that never blocks. What it says and hears is in ``docs/protocol.md``."""

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
from ..api.connection import Connection, Gate, make_private
from ..api.errors import NoWorker, OrbitError, ProtocolError, VersionMismatch
from ..api.events import JobEvent, State
from ..api.job import Result
from ..api.mailbox import Mailbox
from ..api.messages import FROM_CLIENT
from ..api.paths import VERSION, replaced
from . import logs
from .jobs import Jobs
from .journal import FILE, Journal, JournalInUse
from .supervisor import Supervisor
from .worker import PIPELINE

_log = logging.getLogger(__name__)

IDLE_SECONDS = 600.0
"""A server without clients and without work ends after this long."""

_PRESENT_SECONDS = 10.0
_TICK_SECONDS = 1.0
_SHRINK_SECONDS = 60.0
_END_SECONDS = 3.0


def serve(
    run_directory: Path, idle_seconds: float = IDLE_SECONDS, pipeline: str = PIPELINE, replace: bool = False
) -> None:
    """Serves the jobs of ``run_directory`` until told to end, or until idle for ``idle_seconds``.

    Args:
        replace: end the server that runs there now, whatever its version and however stuck it is, and take
            its place.

    Where a server runs already there is nothing to do: that is said, and is no error.

    Raises:
        StorageError: the folder cannot be written.
    """
    make_private(run_directory)
    if replace:
        end_running(run_directory)
    try:
        server = Server(run_directory, idle_seconds, pipeline)
    except JournalInUse as error:
        print(error.message, file=sys.stderr)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    _log_to(run_directory / "server.log")
    server.run()


@dataclass
class _Client:
    """One connection that has said hello.

    Attributes:
        heard: when it last sent something, on the monotonic clock.
        missed: its queue was full, so that it lost something and needs to be told everything again.
    """

    heard: float = field(default_factory=time.monotonic)
    missed: bool = False


class Server:
    """Opens the journal and the socket and starts the worker at once; :meth:`run` serves."""

    def __init__(self, run_directory: Path, idle_seconds: float, pipeline: str):
        self._directory = run_directory
        self._idle_seconds = idle_seconds
        self._stopping = False
        self._clients: dict[bytes, _Client] = {}
        self._journal = Journal(run_directory / FILE)
        # Two threads, so that a client that sends a large mesh does not hold up the others.
        self._context = zmq.Context(io_threads=2)
        self._mailbox = Mailbox()
        self._gate = Gate(self._context)
        self._supervisor = Supervisor(run_directory, pipeline, self._mailbox.put)
        self._jobs = Jobs(
            run_directory, self._journal, self._supervisor, self._publish, self._show, self._mailbox.put
        )
        self._connection = self._gate.connection(psutil.Process().create_time())
        self._answers: dict[str, Callable[[bytes, wire.Message], None]] = {
            "ping": lambda client, message: self._send(client, "pong"),
            "submit": self._submit,
            "download": self._download,
            "cancel": lambda client, message: self._jobs.cancel(message.body["job"]),
            "retry": lambda client, message: self._jobs.retry(message.body["job"]),
            "order": lambda client, message: self._jobs.order(message.body["jobs"]),
            "discard": lambda client, message: self._jobs.discard(message.body["job"]),
            "fetch": self._fetch,
            "list": lambda client, message: self._send_jobs(client),
            "status": self._status,
            "shutdown": lambda client, message: self.stop(),
        }

    def run(self) -> None:
        poller = zmq.Poller()
        for source in (self._gate.socket, self._gate.doorkeeper, self._mailbox):
            poller.register(source, zmq.POLLIN)
        self._connection.write(self._directory)
        _log.info("serving on %s, version %s", self._connection.endpoint, VERSION)
        last_busy = last_shrink = time.monotonic()
        try:
            while not self._stopping:
                ready = dict(poller.poll(self._patience() * 1000))
                if replaced():
                    # Before anyone is answered: clients start the new server, which goes on with the jobs.
                    _log.info("Orbit Texture was installed anew; ending")
                    break
                if self._gate.doorkeeper in ready:
                    self._gate.admit()
                if self._gate.socket in ready:
                    self._receive()
                for call in self._mailbox.take():
                    call()
                self._supervisor.tick()
                now = time.monotonic()
                if self._jobs.busy or any(
                    now - client.heard < _PRESENT_SECONDS for client in self._clients.values()
                ):
                    last_busy = now
                elif now - last_busy > self._idle_seconds:
                    _log.info("nothing to do; ending")
                    break
                if now - last_shrink > _SHRINK_SECONDS:
                    last_shrink = now
                    logs.shrink(self._directory / "server.log")
                    logs.shrink(self._directory / "worker.log")
        finally:
            self._connection.remove(self._directory)
            self._jobs.close()
            self._journal.close()
            self._context.destroy(linger=0)

    def stop(self) -> None:
        """Ends :meth:`run` soon. A signal handler may call it."""
        self._stopping = True
        self._mailbox.put(lambda: None)

    def _patience(self) -> float:
        """Seconds until something has to be done even if nothing happens."""
        deadline = self._supervisor.deadline
        return (
            _TICK_SECONDS if deadline is None else min(max(deadline - time.monotonic(), 0.0), _TICK_SECONDS)
        )

    def _receive(self) -> None:
        """Takes one message and answers it. Whatever is wrong with it, the sender is told and nothing else
        happens."""
        identity, *frames = self._gate.socket.recv_multipart(copy=False)
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
                self._catch_up(client)
                self._answers[message.type](client, message)
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

    def _catch_up(self, client: bytes) -> None:
        known = self._clients[client]
        known.heard = time.monotonic()
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
        id = message.body["job"]

        def reply(answer: Result | OrbitError) -> None:
            if isinstance(answer, Result):
                self._send(client, "result", {"job": id, "report": answer.report}, answer.arrays())
            else:
                self._send(client, "event", JobEvent(id, State.FAILED, error=answer).to_dict())

        self._jobs.fetch(id, reply)

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
        self._send(client, "jobs", {"jobs": [event.to_dict() for event in self._jobs.events()]})

    def _publish(self, event: JobEvent) -> None:
        for client in list(self._clients):
            self._send(client, "event", event.to_dict())

    def _show(self, job: str, pictures: np.ndarray) -> None:
        for client in list(self._clients):
            self._send(client, "preview", {"job": job}, {"pictures": pictures})

    def _send(self, client: bytes, type: str, body: dict | None = None, arrays: dict | None = None) -> None:
        known = self._clients.get(client)
        if known and known.missed:
            return
        try:
            self._gate.socket.send_multipart(
                [client, *wire.pack(type, body, arrays)], zmq.NOBLOCK, copy=False
            )
        except zmq.Again:
            if known:
                known.missed = True
        except zmq.ZMQError as error:
            # No route: the connection is gone, and an identity never comes back.
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._clients.pop(client, None)


def end_running(run_directory: Path) -> None:
    """Ends the server that runs, if one does, whatever its version and however stuck it is. Its jobs are safe
    in the journal.

    Raises:
        NoWorker: it cannot be ended.
    """
    connection = Connection.read(run_directory)
    if connection is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(connection.pid)
        # The number may have passed on to some other process since.
        if abs(process.create_time() - connection.started) > 1.0:
            return
        for end in (process.terminate, process.kill):
            end()
            until = time.monotonic() + _END_SECONDS
            while time.monotonic() < until:
                # Its parent may be too busy to take notice of its end, which leaves a zombie.
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                    return
                time.sleep(0.02)
        raise NoWorker(f"The old worker (process {connection.pid}) cannot be ended. Restart the computer.")


def _log_to(path: Path) -> None:
    """From here on everything goes to the log file, since whoever started the server need not be there to
    read; a terminal is."""
    if not sys.stderr.isatty():
        with open(path, "ab") as file:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
