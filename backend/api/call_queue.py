"""A queue of calls from other threads to a thread that waits in a ``zmq.Poller``."""

import contextlib
import queue
import socket
from collections.abc import Callable


class CallQueue:
    """A queue of functions that a poller can wait for: register the queue itself, for reading.

    Any thread may :meth:`put` a function; only the waiting thread may :meth:`take` and call them.
    """

    def __init__(self):
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def put(self, call: Callable[[], None]) -> None:
        """Never blocks. After :meth:`close` it has no effect."""
        self._calls.put(call)
        # If the pipe is full, the reader is about to wake up anyway.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def take(self) -> list[Callable[[], None]]:
        """All functions put since the last :meth:`take`, in order."""
        with contextlib.suppress(OSError):
            while self._reader.recv(4096):
                pass
        calls = []
        with contextlib.suppress(queue.Empty):
            while True:
                calls.append(self._calls.get_nowait())
        return calls

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
