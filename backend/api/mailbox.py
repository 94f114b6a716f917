"""How other threads hand something to a thread that waits in a ``zmq.Poller``."""

import contextlib
import queue
import socket
from typing import Any


class Mailbox:
    """A queue that a poller can wait for: register the mailbox itself, for reading.

    Any thread may :meth:`put`; only the waiting thread may :meth:`take`.
    """

    def __init__(self):
        self._items: queue.SimpleQueue = queue.SimpleQueue()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def put(self, item: Any) -> None:
        """Never blocks. After :meth:`close` it does nothing that anyone sees."""
        self._items.put(item)
        # A full pipe means that the reader is due to wake up anyway.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def take(self) -> list:
        """Everything put since the last call, in order."""
        with contextlib.suppress(OSError):
            while self._reader.recv(4096):
                pass
        items = []
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self._items.get_nowait())
        return items

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
