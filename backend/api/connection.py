"""The connection file, the keys in it, and the two sockets that use them.

The server makes the keys, anew at each start, and writes them into a file that only its user can read. Who
can read that file is let in, everyone else is dropped in the handshake, before a byte of his is looked at.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import zmq
from zmq.utils import z85

from . import wire
from .errors import StorageError
from .messages import PROTOCOL
from .paths import VERSION

_FILE = "connection.json"
_ZAP_DOMAIN = b"orbit-texture"


@dataclass(frozen=True)
class Connection:
    """How to reach a server.

    Attributes:
        endpoint: ``tcp://127.0.0.1:<port>``.
        server_key: the server's public CURVE key, Z85.
        client_key, client_secret: the key pair of every client of this server, Z85.
        pid, started: the server's process and when it started, in seconds since the epoch.
        protocol, version: of the server.
    """

    endpoint: str
    server_key: str
    client_key: str
    client_secret: str
    pid: int
    started: float
    protocol: int = PROTOCOL
    version: str = VERSION

    def write(self, run_directory: Path) -> None:
        """Raises :class:`StorageError` if the folder cannot be written."""
        temporary = run_directory / f"{_FILE}.{os.getpid()}"
        try:
            # O_EXCL: the file is new, so its mode is ours and nobody has it open already.
            temporary.unlink(missing_ok=True)
            with open(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                json.dump(asdict(self), file)
            os.replace(temporary, run_directory / _FILE)
        except OSError as error:
            raise StorageError(
                f"The folder {run_directory} cannot be written ({error.strerror}). Free some space or mend "
                "its permissions, then try again."
            ) from error

    @staticmethod
    def read(run_directory: Path) -> "Connection | None":
        """What the server of this folder wrote, None if there is none. It may be gone by now."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Connection(**json.loads((run_directory / _FILE).read_text(encoding="utf-8")))
        return None

    def remove(self, run_directory: Path) -> None:
        """Removes the file unless another server has written its own meanwhile."""
        if Connection.read(run_directory) == self:
            with contextlib.suppress(OSError):
                (run_directory / _FILE).unlink()


def make_private(directory: Path) -> None:
    """Makes a folder that only this user can enter.

    Raises:
        StorageError: it cannot be made, cannot be written, or belongs to someone else.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise StorageError(
            f"The folder {directory} cannot be used ({error.strerror}). Mend its permissions or set "
            "ORBIT_TEXTURE_HOME to another folder."
        ) from error
    if not os.access(directory, os.W_OK):
        raise StorageError(
            f"The folder {directory} is read-only. Mend its permissions or set ORBIT_TEXTURE_HOME to another "
            "folder."
        )


class Gate:
    """The server's socket and its doorkeeper, which admits the holders of one client key.

    Attributes:
        socket: ROUTER. :meth:`admit` must be called whenever :attr:`doorkeeper` is readable.
        doorkeeper: answers libzmq's ZAP requests (ZeroMQ RFC 27). pyzmq's own authenticator needs asyncio
            and, on Windows, tornado.
    """

    def __init__(self, context: zmq.Context):
        self.client_key, self.client_secret = zmq.curve_keypair()
        self.server_key, secret = zmq.curve_keypair()
        self.doorkeeper = context.socket(zmq.REP)
        self.doorkeeper.linger = 0
        self.doorkeeper.bind("inproc://zeromq.zap.01")
        self.socket = context.socket(zmq.ROUTER)
        _common_options(self.socket)
        self.socket.router_mandatory = True
        self.socket.zap_domain = _ZAP_DOMAIN
        self.socket.curve_server = True
        self.socket.curve_secretkey = secret
        self.socket.bind("tcp://127.0.0.1:*")

    def admit(self) -> None:
        """Answers one request of a stranger at the door."""
        version, request, domain, _address, _identity, mechanism, *credentials = (
            self.doorkeeper.recv_multipart()
        )
        known = (
            domain == _ZAP_DOMAIN
            and mechanism == b"CURVE"
            and len(credentials) == 1
            and z85.encode(credentials[0]) == self.client_key
        )
        self.doorkeeper.send_multipart(
            [version, request, b"200" if known else b"400", b"OK" if known else b"NO ACCESS", b"", b""]
        )

    def connection(self, started: float) -> Connection:
        """What clients of this process, begun at ``started``, need to know."""
        return Connection(
            self.socket.last_endpoint.decode(),
            self.server_key.decode(),
            self.client_key.decode(),
            self.client_secret.decode(),
            os.getpid(),
            started,
        )


def connect(context: zmq.Context, connection: Connection) -> zmq.Socket:
    """The client's DEALER socket. It connects in the background; nothing is queued while the server is
    away."""
    socket = context.socket(zmq.DEALER)
    _common_options(socket)
    socket.immediate = True
    socket.reconnect_ivl = -1
    socket.curve_serverkey = connection.server_key.encode()
    socket.curve_publickey = connection.client_key.encode()
    socket.curve_secretkey = connection.client_secret.encode()
    socket.connect(connection.endpoint)
    return socket


def _common_options(socket: zmq.Socket) -> None:
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = 256
    socket.maxmsgsize = wire.MAX_FRAME
    # An array is one frame and nothing is heard while it arrives, so a shorter patience would end a large
    # upload.
    socket.heartbeat_ivl, socket.heartbeat_timeout = 2000, 10_000
    socket.handshake_ivl = 5000
