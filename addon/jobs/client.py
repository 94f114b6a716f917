"""The client of the server: the facade that Blender's main thread uses. It hands over requests and drains
events; a thread of ours does everything else.

No bpy here, nor in the modules it uses, so that the client also runs in a plain Python.
"""

import contextlib
import queue
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ...backend.api.errors import OrbitError
from ...backend.api.events import JobEvent
from .client_thread import ClientThread
from .request import JobRequest
from .server_process import ServerProcess


class Client:
    """A connection to the server of a run directory. It starts the server if there is none, and again if it
    dies.

    All methods return at once and may be called from the main thread only. :meth:`poll` returns what happened
    to the jobs.
    """

    def __init__(self, run_directory: Path, python: Path, serve_options: tuple[str, ...] = ()):
        """
        Args:
            python: the interpreter of the backend's environment, which need not exist.
            serve_options: further options of ``python -m backend serve``.
        """
        self._server = ServerProcess(run_directory, python, serve_options)
        self._run_directory = run_directory
        self._events: queue.SimpleQueue[JobEvent] = queue.SimpleQueue()
        self._thread: ClientThread | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a server of our version answers."""
        return self._thread is not None and self._thread.is_connected

    @property
    def connection_error(self) -> OrbitError | None:
        """Why there is no connection, if the user has to do something about it."""
        return self._thread.connection_error if self._thread else None

    def start(self) -> None:
        """Connects in the background, starting a server if necessary."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = ClientThread(self._run_directory, self._server, self._events)
            self._thread.start()
        self._thread.post(self._thread.try_again)

    def submit(self, request: JobRequest) -> None:
        """Starts a job. A mesh that cannot be made, a reference that cannot be read and every other error
        becomes a ``FAILED`` event."""
        self._post("submit", request)

    def download(self, job_id: str, model: str) -> None:
        """Starts a job that downloads a model's weights; the user has agreed to it. Its result is empty."""
        self._post("download", job_id, model)

    def cancel(self, job_id: str) -> None:
        self._post("cancel", job_id)

    def retry(self, job_id: str) -> None:
        """Runs a failed or cancelled job again, without sending it again. Finished stages are not
        repeated."""
        self._post("retry", job_id)

    def order(self, job_ids: Iterable[str]) -> None:
        """Runs these waiting jobs in this order, before the other waiting jobs."""
        self._post("order", list(job_ids))

    def discard(self, job_id: str) -> None:
        """Makes the server forget a job and delete its files. No more events arrive for it."""
        self._post("discard", job_id)

    def follow(self, job_ids: Iterable[str] | None = None) -> None:
        """Asks for the state of these jobs, or of all that the server knows, and follows them from now on
        like jobs submitted here."""
        self._post("follow", None if job_ids is None else tuple(job_ids))

    def restart_server(self) -> None:
        """Ends the server, whatever its version and however stuck it is, and starts ours. Its jobs continue
        where they were."""
        self._post("restart_server")

    def poll(self) -> list[JobEvent]:
        """The events since the last call. ``FINISHED`` comes with its result."""
        events = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._events.get_nowait())
        return events

    def close(self, timeout: float = 2.0) -> None:
        """Closes the connection, waiting ``timeout`` seconds at most. Jobs continue without us."""
        if self._thread:
            self._thread.close(timeout)
            self._thread = None

    def _post(self, method: str, *arguments) -> None:
        if self._thread is None or not self._thread.is_alive():
            self.start()
        self._thread.post(partial(getattr(self._thread, method), *arguments))
