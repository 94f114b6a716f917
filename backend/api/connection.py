"""The connection file, the keys in it, and the two sockets that use them.

The server makes new keys at each start and writes them to a file that only its user can read. A client that
has read that file is admitted; any other is dropped in the handshake, before any of its data is processed.
"""

import contextlib
import json
import math
import os
import struct
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

_ENCRYPTION_BYTES = 64
"""At least what CURVE adds to a frame."""


@dataclass(frozen=True)
class Connection:
    """How to reach a server.

    Attributes:
        endpoint: ``tcp://127.0.0.1:<port>``.
        server_key: the server's public CURVE key, Z85.
        client_key, client_secret: the key pair that all clients of this server share, Z85.
        pid, started: the server's process id and its start time, in seconds on a clock that nobody sets: on
            Linux since the computer was booted.
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

    def __post_init__(self):
        """Raises ``ValueError`` for what no server writes."""
        host, _, port = str(self.endpoint).rpartition(":")
        keys = (self.server_key, self.client_key, self.client_secret)
        if (
            host != "tcp://127.0.0.1"
            or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16)
            or not all(_is_key(key) for key in keys)
            or not (_is_number(self.pid, int) and 0 < self.pid < 2**31)
            or not (_is_number(self.started, (int, float)) and math.isfinite(self.started))
            or not (_is_number(self.protocol, int) and isinstance(self.version, str))
        ):
            raise ValueError("this is no connection")

    def write(self, run_directory: Path) -> None:
        """Raises :class:`StorageError` if the folder cannot be written."""
        temporary = run_directory / f"{_FILE}.{os.getpid()}"
        try:
            # Of servers that ended while they wrote it. Only one server can have come so far.
            for unfinished in run_directory.glob(f"{_FILE}.*"):
                unfinished.unlink()
            # O_EXCL: the file is new, so it has this mode and no other process has it open.
            with open(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                json.dump(asdict(self), file)
            os.replace(temporary, run_directory / _FILE)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise StorageError(
                f"The folder {run_directory} cannot be written ({error.strerror}). Free some space or fix "
                "its permissions, then try again."
            ) from error

    @staticmethod
    def read(run_directory: Path) -> "Connection | None":
        """The connection that the server of this folder wrote, None if there is none or it is damaged. The
        server may have ended since."""
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            return Connection(**json.loads((run_directory / _FILE).read_text(encoding="utf-8")))
        return None

    def remove(self, run_directory: Path) -> None:
        """Removes the file, unless another server has replaced it meanwhile."""
        if Connection.read(run_directory) == self:
            with contextlib.suppress(OSError):
                (run_directory / _FILE).unlink()


def _is_key(value) -> bool:
    """Whether a value is a CURVE key as Z85."""
    try:
        return isinstance(value, str) and len(value) == 40 and len(z85.decode(value)) == 32
    except (KeyError, ValueError, struct.error):
        return False


def _is_number(value, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def make_private(directory: Path) -> None:
    """Creates a folder that only this user can enter.

    Raises:
        StorageError: it cannot be created or written, or belongs to another user.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise StorageError(
            f"The folder {directory} cannot be used ({error.strerror}). Fix its permissions or set "
            "ORBIT_TEXTURE_HOME to another folder."
        ) from error
    if not os.access(directory, os.W_OK):
        raise StorageError(
            f"The folder {directory} is read-only. Fix its permissions or set ORBIT_TEXTURE_HOME to another "
            "folder."
        )


class ServerSocket:
    """The server's encrypted socket, and the ZAP handler that authenticates its clients by one client key.

    Attributes:
        router: the ROUTER socket that clients connect to.
        zap: the REP socket on which libzmq asks whether to admit a client (ZAP, ZeroMQ RFC 27). Whenever it
            is readable, :meth:`authenticate` must be called. pyzmq's own authenticator needs asyncio and, on
            Windows, tornado.
    """

    def __init__(self, context: zmq.Context):
        self.client_key, self.client_secret = zmq.curve_keypair()
        self.server_key, secret = zmq.curve_keypair()
        self.zap = context.socket(zmq.REP)
        self.zap.linger = 0
        self.zap.bind("inproc://zeromq.zap.01")
        self.router = context.socket(zmq.ROUTER)
        _common_options(self.router)
        self.router.router_mandatory = True
        self.router.zap_domain = _ZAP_DOMAIN
        self.router.curve_server = True
        self.router.curve_secretkey = secret
        self.router.bind("tcp://127.0.0.1:*")

    def authenticate(self) -> None:
        """Answers one ZAP request: admits a client with the right key, rejects any other."""
        version, request, domain, _address, _identity, mechanism, *credentials = self.zap.recv_multipart()
        known = (
            domain == _ZAP_DOMAIN
            and mechanism == b"CURVE"
            and len(credentials) == 1
            and z85.encode(credentials[0]) == self.client_key
        )
        self.zap.send_multipart(
            [version, request, b"200" if known else b"400", b"OK" if known else b"NO ACCESS", b"", b""]
        )

    def connection(self, started: float) -> Connection:
        """What a client needs to connect. ``started`` is the start time of this process."""
        return Connection(
            self.router.last_endpoint.decode(),
            self.server_key.decode(),
            self.client_key.decode(),
            self.client_secret.decode(),
            os.getpid(),
            started,
        )


def connect(context: zmq.Context, connection: Connection) -> zmq.Socket:
    """The client's DEALER socket. It connects in the background; nothing is queued while there is no
    server."""
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
    socket.maxmsgsize = wire.MAX_FRAME + _ENCRYPTION_BYTES
    # An array is one frame and no heartbeat is received while it arrives, so a shorter timeout would end a
    # large upload.
    socket.heartbeat_ivl, socket.heartbeat_timeout = 2000, 10_000
    socket.handshake_ivl = 5000
