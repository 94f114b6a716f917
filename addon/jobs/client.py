"""Blender's end of the wire. The main thread hands over requests and drains events; a thread of ours does
everything else.

No bpy here, nor in the modules it uses: the client runs as well in a plain Python.
"""

import contextlib
import queue
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from ...backend.api.errors import OrbitError
from ...backend.api.events import JobEvent
from ...backend.api.job import Kept, MeshData
from ...backend.api.settings import Settings
from .client_thread import Courier, Reference
from .server_process import ServerProcess


class Client:
    """A connection to the server of a run directory. It starts the server if there is none, and again if it
    dies.

    All methods return at once and may be called from the main thread only. What becomes of jobs is told by
    :meth:`poll`.
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
        self._courier: Courier | None = None

    @property
    def connected(self) -> bool:
        """A server of our version answers."""
        return self._courier is not None and self._courier.welcomed

    @property
    def problem(self) -> OrbitError | None:
        """Why there is no connection, if that needs someone's help."""
        return self._courier.problem if self._courier else None

    def start(self) -> None:
        """Connects in the background, starting a server if need be."""
        if self._courier is None or not self._courier.is_alive():
            self._courier = Courier(self._run_directory, self._server, self._events)
            self._courier.start()
        self._courier.post(self._courier.try_again)

    def submit(
        self,
        job_id: str,
        name: str,
        mesh: Callable[[], MeshData],
        reference: Reference,
        settings: Settings,
        kept: Kept | None = None,
    ) -> None:
        """Starts a job.

        Args:
            mesh: makes the mesh, on the client's thread. Leave the arrays behind it and the reference alone
                from now on.
            kept: the texture of which only a region is painted anew.

        A mesh that cannot be made, a reference that cannot be read and everything else that is wrong becomes
        a ``FAILED`` event.
        """
        self._post("submit", job_id, name, mesh, reference, settings, kept)

    def download(self, job_id: str, model: str) -> None:
        """Starts a job that brings a model's weights, to which the user has agreed. It ends with a result
        that holds nothing."""
        self._post("download", job_id, model)

    def cancel(self, job_id: str) -> None:
        self._post("cancel", job_id)

    def retry(self, job_id: str) -> None:
        """Runs a job that failed or was cancelled again, without sending it again. Finished stages are not
        repeated."""
        self._post("retry", job_id)

    def order(self, job_ids: Iterable[str]) -> None:
        """Has jobs that wait done in this order, before the others that wait."""
        self._post("order", list(job_ids))

    def discard(self, job_id: str) -> None:
        """Makes the server forget a job and delete its files. There are no more events for it."""
        self._post("discard", job_id)

    def jobs(self, job_ids: Iterable[str] | None = None) -> None:
        """Asks where these jobs stand, or all that the server knows, and follows them from now on like jobs
        submitted here."""
        self._post("follow", None if job_ids is None else tuple(job_ids))

    def restart_server(self) -> None:
        """Ends the server, whatever its version and however stuck it is, and starts ours. Jobs go on where
        they were."""
        self._post("restart")

    def poll(self) -> list[JobEvent]:
        """What happened since the last call. ``FINISHED`` comes with its result."""
        events = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._events.get_nowait())
        return events

    def close(self, timeout: float = 2.0) -> None:
        """Drops the connection, waiting ``timeout`` seconds at most. Jobs go on without us."""
        if self._courier:
            self._courier.close(timeout)
            self._courier = None

    def _post(self, method: str, *arguments) -> None:
        if self._courier is None or not self._courier.is_alive():
            self.start()
        self._courier.post(partial(getattr(self._courier, method), *arguments))
