"""One connection to one server, from the handshake until it is lost. It never blocks and does not reconnect
by itself."""

import time

import zmq

# pyzmq imports this with its first large message. By then another Blender of the same profile may have
# removed the wheels.
import zmq.utils.garbage
from zmq.utils.monitor import recv_monitor_message

from ...backend.api import wire
from ...backend.api.connection import Connection, connect
from ...backend.api.paths import VERSION

_WELCOME_SECONDS = 3.0
"""A server that does not answer the hello within this time is lost."""

_PING_INTERVAL = 2.0
"""Seconds between two pings, which keep the connection alive."""

_SILENCE_SECONDS = 30.0
"""A server that sends nothing for this long is lost."""

_CLOSING_EVENTS = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


class ServerLink:
    """Only the thread that creates it may use it.

    Attributes:
        connection: the address and keys that it connects to.
        is_welcomed: the server has answered our hello, so that anything may be sent.
        is_lost: the server is gone, does not answer, or is not ours; close the link.
    """

    def __init__(self, context: zmq.Context, connection: Connection):
        self.connection = connection
        self.is_welcomed = self.is_lost = False
        self._socket = connect(context, connection)
        self._monitor = self._socket.get_monitor_socket(_CLOSING_EVENTS)
        self._hello_sent = False
        self._opened_at = self._received_at = self._pinged_at = time.monotonic()

    def register(self, poller: zmq.Poller) -> None:
        """Lets ``poller`` wait for what :meth:`receive` handles."""
        # Writable means that the handshake is complete, since nothing is queued before that.
        poller.register(self._socket, zmq.POLLIN if self._hello_sent else zmq.POLLIN | zmq.POLLOUT)
        poller.register(self._monitor, zmq.POLLIN)

    def receive(self, ready: dict) -> wire.Message | None:
        """Sends the hello and pings, notices a lost connection, and returns the message that has arrived, if
        any.

        Args:
            ready: the events that the poller returned.

        Raises:
            VersionMismatch, ProtocolError: the message cannot be understood.
        """
        now = time.monotonic()
        if not self._hello_sent and ready.get(self._socket, 0) & zmq.POLLOUT:
            self._hello_sent = True
            self.send(wire.pack("hello", {"version": VERSION}))
        elif self.is_welcomed and now - self._pinged_at > _PING_INTERVAL:
            self._pinged_at = now
            self.send(wire.pack("ping"))
        message = None
        if ready.get(self._socket, 0) & zmq.POLLIN:
            self._received_at = now
            message = wire.unpack([frame.buffer for frame in self._socket.recv_multipart(copy=False)])
            self.is_welcomed = self.is_welcomed or message.type == "welcome"
        elif self._monitor in ready:
            event = recv_monitor_message(self._monitor)["event"]
            self.is_lost = self.is_lost or bool(event & _CLOSING_EVENTS)
        if now - self._received_at > _SILENCE_SECONDS or (
            not self.is_welcomed and now - self._opened_at > _WELCOME_SECONDS
        ):
            self.is_lost = True
        return message

    def send(self, frames: list) -> None:
        """Sends a packed message. The link is lost if that is not possible at once."""
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError:
            self.is_lost = True

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
