"""One connection to one server, from the handshake until it is lost. It never blocks and does not come back
by itself."""

import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from ...backend.api import wire
from ...backend.api.connection import Connection, connect
from ...backend.api.paths import VERSION

_WELCOME_SECONDS = 3.0
_PING_INTERVAL = 2.0
_SILENCE_SECONDS = 30.0

_ENDINGS = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


class Link:
    """Only the thread that makes it may use it.

    Attributes:
        connection: what it connects to.
        welcomed: the server has answered our hello, so that anything may be sent.
        lost: the server is gone, does not answer, or is not ours; close it.
    """

    def __init__(self, context: zmq.Context, connection: Connection):
        self.connection = connection
        self.welcomed = self.lost = False
        self._socket = connect(context, connection)
        self._monitor = self._socket.get_monitor_socket(_ENDINGS)
        self._greeted = False
        self._begun = self._heard = self._pinged = time.monotonic()

    def register(self, poller: zmq.Poller) -> None:
        """Has ``poller`` wait for what :meth:`receive` handles."""
        # Writable means that the handshake is through, since nothing is queued before that.
        poller.register(self._socket, zmq.POLLIN if self._greeted else zmq.POLLIN | zmq.POLLOUT)
        poller.register(self._monitor, zmq.POLLIN)

    def receive(self, ready: dict) -> wire.Message | None:
        """Greets, keeps alive, notices the end; returns the message that has come, if one has.

        Args:
            ready: what the poller found.

        Raises:
            VersionMismatch, ProtocolError: the message cannot be understood.
        """
        now = time.monotonic()
        if not self._greeted and ready.get(self._socket, 0) & zmq.POLLOUT:
            self._greeted = True
            self.send(wire.pack("hello", {"version": VERSION}))
        elif self.welcomed and now - self._pinged > _PING_INTERVAL:
            self._pinged = now
            self.send(wire.pack("ping"))
        message = None
        if ready.get(self._socket, 0) & zmq.POLLIN:
            self._heard = now
            message = wire.unpack([frame.buffer for frame in self._socket.recv_multipart(copy=False)])
            self.welcomed = self.welcomed or message.type == "welcome"
        elif self._monitor in ready:
            self.lost = self.lost or bool(recv_monitor_message(self._monitor)["event"] & _ENDINGS)
        if now - self._heard > _SILENCE_SECONDS or (
            not self.welcomed and now - self._begun > _WELCOME_SECONDS
        ):
            self.lost = True
        return message

    def send(self, frames: list) -> None:
        """Sends a packed message or, if that is not possible at once, is lost."""
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError:
            self.lost = True

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
