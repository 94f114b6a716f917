"""Strangers on the same machine, who can reach the server's port and do not have its key: what do they get?

Web pages that post, random bytes, greetings with mistakes, other keys, no encryption, connections that say
nothing and large frames before the handshake. Afterwards nobody may have been admitted, the server must
answer its own client at once, and its memory and descriptors must be what they were.
"""

import collections
import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import zmq

from tests.servers import Peer, Server, api, wait_for

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(15) + b"\x00" + bytes(31)
"""What a client of ZMTP 3.0 says first (RFC 23)."""

HELLO = b"\x04\xc8\x05HELLO\x01\x00" + bytes(192)
"""The first command of CURVE (RFC 26), with an empty key and box."""

POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://example.com\r\nContent-Length: 99999\r\n\r\n"

MAX_ANSWER = len(GREETING) + len(HELLO)
"""Bytes that anybody is answered: a greeting, and at most the handshake's next command."""

MAX_HELD = 200
"""Connections that are held open at once."""

MAX_GROWTH = 32 * 2**20
"""Bytes by which the server's memory may have grown."""

OPTIONS = ("--pipeline", "tests.pipelines.scripted:run", "--idle-seconds", "600")
"""Of the server, which must not end because its own client is slow to ask."""

PING_EVERY = 100
"""Strangers between two pings of a client with the key."""


@dataclass
class Street:
    """Where strangers come from: the server that they can reach.

    Attributes:
        connection: the server's; strangers use its endpoint, and at most the public ones of its keys.
        held: connections that say nothing.
    """

    connection: api.connection.Connection
    dice: random.Random
    context: zmq.Context = field(default_factory=zmq.Context)
    held: collections.deque = field(default_factory=collections.deque)

    def open(self) -> socket.socket:
        client = socket.create_connection(
            ("127.0.0.1", int(self.connection.endpoint.rpartition(":")[2])), 5.0
        )
        client.settimeout(0.05)
        return client

    def send(self, data: bytes) -> int:
        """Sends bytes and returns how many it is answered."""
        received = 0
        with contextlib.suppress(OSError), self.open() as client:
            client.sendall(data)
            while chunk := client.recv(4096):
                received += len(chunk)
        return received

    def greet(self, **options) -> int:
        """Sends a hello by ZeroMQ, with the socket options given, and returns whether it is answered."""
        dealer = self.context.socket(zmq.DEALER)
        dealer.linger = 0
        for option, value in options.items():
            setattr(dealer, option, value)
        dealer.connect(self.connection.endpoint)
        with contextlib.suppress(zmq.Again):  # refused already
            dealer.send_multipart(api.wire.pack("hello", {"version": api.paths.VERSION}), zmq.NOBLOCK)
        is_answered = bool(dealer.poll(50))
        dealer.close()
        return (MAX_ANSWER + 1) * is_answered


def post(street: Street) -> int:
    return street.send(POST + street.dice.randbytes(street.dice.randrange(1000)))


def post_message(street: Street) -> int:
    frame = bytes(api.wire.pack("shutdown")[0])
    return street.send(b"\x01\x00" + bytes([len(frame) + 1, 0]) + frame)


def send_random_bytes(street: Street) -> int:
    return street.send(street.dice.randbytes(street.dice.randrange(1, 3000)))


def send_mutated_greeting(street: Street) -> int:
    data = bytearray(GREETING + HELLO)
    for _ in range(street.dice.choice((1, 1, 2, 4, 16))):
        data[street.dice.randrange(len(data))] = street.dice.randrange(256)
    return street.send(bytes(data[: street.dice.choice((len(data), street.dice.randrange(len(data))))]))


def send_large_frame(street: Street) -> int:
    return street.send(GREETING + b"\x06" + struct.pack(">Q", 500 << 20) + bytes(2**18))


def connect_and_leave(street: Street) -> int:
    with contextlib.suppress(OSError):
        street.open().close()
    return 0


def say_nothing(street: Street) -> int:
    """Sends a byte and stays, as slow-loris attacks do; the oldest leaves."""
    with contextlib.suppress(OSError):
        street.held.append(street.open())
        street.held[-1].send(b"\xff")
    if len(street.held) > MAX_HELD:
        street.held.popleft().close()
    return 0


def use_no_encryption(street: Street) -> int:
    return street.greet()


def use_password(street: Street) -> int:
    return street.greet(plain_username=b"orbit", plain_password=b"texture")


def use_other_key(street: Street) -> int:
    public, secret = zmq.curve_keypair()
    server_key = street.connection.server_key.encode()
    return street.greet(curve_serverkey=server_key, curve_publickey=public, curve_secretkey=secret)


def use_public_key(street: Street) -> int:
    """The client's public key with a secret that is not its."""
    secret, server_key = zmq.curve_keypair()[1], street.connection.server_key.encode()
    client_key = street.connection.client_key.encode()
    return street.greet(curve_serverkey=server_key, curve_publickey=client_key, curve_secretkey=secret)


STRANGERS: tuple[Callable[[Street], int], ...] = (
    post,
    post_message,
    send_random_bytes,
    send_mutated_greeting,
    send_large_frame,
    connect_and_leave,
    say_nothing,
    use_no_encryption,
    use_password,
    use_other_key,
    use_public_key,
)


def run_strangers(folder: Path, count: int, seed: int) -> tuple[collections.Counter, list[str]]:
    """Lets ``count`` strangers try, each kind as often as any other.

    Returns:
        how often each kind tried, and sentences about what went wrong.
    """
    dice, tried, wrong = random.Random(seed), collections.Counter(), []
    server = Server(folder / "run", *OPTIONS)
    street, process = Street(server.connection(), dice), psutil.Process(server.process.pid)
    with contextlib.closing(Peer(server.connection())) as peer:
        before = measure(process)
        for number in range(count):
            stranger = STRANGERS[number % len(STRANGERS)]
            if (answered := stranger(street)) > MAX_ANSWER:
                wrong.append(f"{stranger.__name__} was answered with {answered} bytes")
            tried[stranger.__name__] += 1
            if number % PING_EVERY == PING_EVERY - 1:
                wrong += check_server(peer)
            if server.process.poll() is not None:
                return tried, [*wrong, f"the server ended after {stranger.__name__}"]
        for client in street.held:
            client.close()
        street.context.destroy(linger=0)
        with contextlib.suppress(AssertionError):
            wait_for(lambda: measure(process)[1] <= before[1], 10.0)
        after = measure(process)
        if after[0] - before[0] > MAX_GROWTH:
            wrong.append(f"the server's memory grew from {before[0]:,} to {after[0]:,} bytes")
        if after[1] > before[1]:
            wrong.append(f"the server has {after[1] - before[1]} more descriptors open")
    server.kill()
    return tried, wrong


def measure(process: psutil.Process) -> tuple[int, int]:
    """Bytes of memory and number of descriptors."""
    return process.memory_info().rss, process.num_fds()


def check_server(peer: Peer) -> list[str]:
    """Whether the server answers its own client at once, and has no other."""
    begun = time.monotonic()
    facts = peer.ask("status", answer="facts")
    if facts is None or time.monotonic() - begun > 2.0:
        return ["the server did not answer its client in 2 s"]
    clients = facts.body["clients"]
    return [] if clients == 1 else [f"{clients - 1} strangers were admitted"]
