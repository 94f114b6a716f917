"""Which clients the server admits, and which messages it refuses."""

import contextlib
import dataclasses
import json
import os
import socket
import stat
import struct
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import zmq

from tests.servers import NO_JOBS, PATIENCE_SECONDS, Peer, Server, api, new_id

BROWSER = (
    "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: https://example.com\r\nContent-Type: "
    "text/plain;charset=UTF-8\r\nContent-Length: {length}\r\nUser-Agent: Mozilla/5.0\r\n\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("authentication") / "run")
    yield server
    server.kill()


@pytest.fixture
def peer(server):
    with contextlib.closing(Peer(server.connection())) as peer:
        yield peer


def test_the_connection_file_is_for_its_user_only(server):
    server.connection()
    assert stat.S_IMODE(os.stat(server.run_directory).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(server.run_directory / "connection.json").st_mode) == 0o600


def test_the_server_listens_on_this_machine_only(server):
    assert server.connection().endpoint.startswith("tcp://127.0.0.1:")


def zmtp_1_frames(*frames: bytes) -> bytes:
    """What an old ZeroMQ sends after an anonymous greeting: the form in which the bytes of a web page would
    become messages."""
    flags = [b"\x01"] * (len(frames) - 1) + [b"\x00"]
    return b"\x01\x00" + b"".join(
        bytes([len(frame) + 1]) + more + frame for more, frame in zip(flags, frames, strict=True)
    )


PAYLOADS = {
    "an empty body": b"",
    "a short body": b"hello",
    "a message of the protocol as the body": api.wire.pack("shutdown")[0],
    "frames of an old ZeroMQ": zmtp_1_frames(b"", *api.wire.pack("shutdown")),
    "many zeros": bytes(70_000),
    "a megabyte": b"\x01\x00" + bytes(range(256)) * 4096,
}


def send_raw(endpoint: str, data: bytes) -> bytes:
    """Sends ``data`` from a raw socket and returns what it receives."""
    received = b""
    with (
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2]))) as client,
        contextlib.suppress(OSError),
    ):
        client.settimeout(0.3)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while chunk := client.recv(4096):
            received += chunk
    return received


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("form", ["a browser's POST", "raw bytes"])
def test_what_a_web_page_sends_to_the_port_is_never_received(payload, form):
    context = zmq.Context()
    server_socket = api.connection.ServerSocket(context)
    try:
        connection = server_socket.connection(0.0)
        body = PAYLOADS[payload]
        head = (
            BROWSER.format(port=connection.endpoint.rpartition(":")[2], length=len(body)).encode()
            if form == "a browser's POST"
            else b""
        )
        send_raw(connection.endpoint, head + body)
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert not server_socket.zap.poll(0), "an unencrypted client reached the authentication"
            assert not server_socket.router.poll(20), server_socket.router.recv_multipart()
    finally:
        context.destroy(linger=0)


def test_a_socket_without_encryption_would_receive_the_bytes_of_a_web_page():
    """The test above can fail: the same bytes do arrive at a socket with ZeroMQ's defaults."""
    context = zmq.Context()
    try:
        open_socket = context.socket(zmq.ROUTER)
        open_socket.bind("tcp://127.0.0.1:*")
        send_raw(open_socket.last_endpoint.decode(), PAYLOADS["frames of an old ZeroMQ"])
        assert open_socket.poll(PATIENCE_SECONDS * 1000)
    finally:
        context.destroy(linger=0)


def is_admitted(socket_options: dict, endpoint: str, seconds: float = 0.7) -> bool:
    """Whether a DEALER with these options receives an answer to its hello in time."""
    context = zmq.Context()
    try:
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 0
        for option, value in socket_options.items():
            setattr(dealer, option, value)
        dealer.connect(endpoint)
        with contextlib.suppress(zmq.Again):  # refused already
            dealer.send_multipart(api.wire.pack("hello", {"version": api.paths.VERSION}), zmq.NOBLOCK)
        return bool(dealer.poll(seconds * 1000))
    finally:
        context.destroy(linger=0)


def test_only_the_key_in_the_connection_file_is_admitted(server, peer):
    connection = server.connection()
    public, secret = zmq.curve_keypair()
    server_key, client_key = connection.server_key.encode(), connection.client_key.encode()
    assert not is_admitted({}, connection.endpoint), "a client without encryption got in"
    other = {"curve_serverkey": server_key, "curve_publickey": public, "curve_secretkey": secret}
    assert not is_admitted(other, connection.endpoint), "another key got in"
    assert not is_admitted(other | {"curve_publickey": client_key}, connection.endpoint), (
        "the right name with another key got in"
    )
    assert not is_admitted({"plain_username": b"a", "plain_password": b"b"}, connection.endpoint), (
        "a password"
    )
    known = {
        "curve_serverkey": server_key,
        "curve_publickey": client_key,
        "curve_secretkey": connection.client_secret.encode(),
    }
    assert is_admitted(known, connection.endpoint, PATIENCE_SECONDS)
    assert peer.ask("ping", answer="pong")


def test_nothing_is_answered_before_hello(server):
    with contextlib.closing(Peer(server.connection(), greet=False)) as peer:
        assert "hello" in peer.ask("list", answer="error").body["message"]
        peer.say("shutdown")
        assert peer.hear("error")
    assert server.process.poll() is None


def test_a_client_of_another_version_is_asked_to_restart_the_worker(server):
    with contextlib.closing(Peer(server.connection(), greet=False)) as peer:
        error = peer.ask("hello", {"version": "99.0.0"}, answer="error").body
        assert (error["code"], error["fix"]) == ("version_mismatch", "restart_worker")
        assert "99.0.0" in error["message"]
        assert peer.ask("list", answer="error")


def test_any_message_of_another_protocol_is_answered_with_a_version_mismatch(server):
    with contextlib.closing(Peer(server.connection(), greet=False)) as peer:
        peer.say_frames([b'{"v": 99, "type": "greetings", "anything": [1]}', b"more"])
        assert peer.hear("error").body["code"] == "version_mismatch"


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"junk", b"more junk"],
        [b"{}"],
        [b"\x80\x04pickle"],
        api.wire.pack("pong"),
        [
            api.wire.pack("submit", {"job": new_id(), "name": "", "settings": {}, "check_reference": False})[
                0
            ],
            bytes(100),
        ],
    ],
)
def test_a_message_against_the_protocol_is_refused_and_changes_nothing(peer, frames):
    peer.say_frames(frames)
    assert peer.hear("error").body["code"] in ("protocol", "version_mismatch")
    assert peer.ask("list", answer="jobs").body == NO_JOBS


def raw_header(message_type, body, arrays=()) -> bytes:
    """The header of a message that need not follow the protocol, in UTF-8."""
    header = {"v": api.messages.PROTOCOL, "type": message_type, "body": body, "arrays": list(arrays)}
    return json.dumps(header, ensure_ascii=False).encode()


LONG = "é" * 1_900_000
JOB = {"job": "0" * 32, "name": "", "settings": {}, "check_reference": False}
HOSTILE = {
    "a type of two million letters": raw_header(LONG, {}),
    "a field of two million letters": raw_header("ping", {LONG: 1}),
    "a version of two million letters": raw_header("hello", {"version": LONG}),
    "a model of two million letters": raw_header("download", {"job": "0" * 32, "model": LONG}),
    "a dtype of two million letters": raw_header("submit", JOB, [{"name": "x", "dtype": LONG, "shape": [0]}]),
    "a name of two million letters": raw_header(
        "submit", JOB, [{"name": LONG, "dtype": "int32", "shape": [0]}]
    ),
    "a shape of 2^63": raw_header("submit", JOB, [{"name": "faces", "dtype": "int32", "shape": [0, 2**63]}]),
    "a shape of 10^4000": raw_header(
        "submit", JOB, [{"name": "x", "dtype": "int32", "shape": [0, 10**4000]}]
    ),
    "a number of a million digits": b'{"v": ' + b"9" * 1_000_000 + b"}",
    "fields in fields in fields": b'{"v":' * 500_000,
    "settings in settings": raw_header("submit", JOB).replace(b"{}", b'{"a":' * 400 + b"1" + b"}" * 400),
    "half a character": raw_header("ping", {"x": 1}).replace(b'"x"', b'"\\ud800"'),
    "an order of 100,000 jobs": raw_header("order", {"jobs": [f"{n:032x}" for n in range(100_000)]}),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_no_message_of_a_client_with_the_key_stops_the_loop(server, peer, message):
    with contextlib.closing(Peer(server.connection())) as hostile:
        empty_array = b'"dtype"' in HOSTILE[message]
        hostile.say_frames([HOSTILE[message], b""] if empty_array else [HOSTILE[message]])
        hostile.say("ping")
        answer = hostile.hear("pong", "error", "event")
        assert answer.type == "pong" or len(json.dumps(answer.body)) < 50_000
    begun = time.monotonic()
    assert peer.ask("ping", answer="pong")
    assert time.monotonic() - begun < 2.0
    assert peer.ask("list", answer="jobs").body == NO_JOBS
    assert server.process.poll() is None


def test_one_job_ordered_100_000_times_stops_nobody(run):
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        arrays = {
            "vertices": np.zeros((3, 3), np.float32),
            "faces": np.arange(3, dtype=np.int32).reshape(1, 3),
            "reference": np.zeros(3, np.uint8),
        }
        ids = [new_id() for _ in range(3)]
        for job_id in ids:
            peer.say("submit", JOB | {"job": job_id, "name": "prepare=wait"}, arrays)
        for _ in ids:
            peer.hear("event")
        peer.say("order", {"jobs": [ids[2], ids[1]] * 50_000})
        begun = time.monotonic()
        assert peer.ask("ping", answer="pong")
        assert time.monotonic() - begun < 2.0
        waiting = [job["job"] for job in peer.ask("list", answer="jobs").body["jobs"] if job["job"] != ids[0]]
        assert waiting == [ids[2], ids[1]]
    server.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process as Linux counts it")
def test_a_stranger_cannot_make_the_server_take_memory(run):
    server = Server(run)
    port = int(server.connection().endpoint.rpartition(":")[2])
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    # A greeting, then the start of a command of 500 MiB where the handshake belongs.
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(47) + b"\x06" + struct.pack(">Q", 500 << 20)

    def push() -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(greeting)
            for _ in range(100):
                stranger.sendall(bytes(2**20))

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    most = before
    while any(thread.is_alive() for thread in threads):
        most = max(most, process.memory_info().rss)
        time.sleep(0.01)
    assert most - before < 32 * 2**20
    with contextlib.closing(Peer(server.connection())) as peer:
        assert peer.ask("ping", answer="pong")
    server.kill()


@pytest.mark.parametrize(
    ("settings", "vertices", "faces", "code"),
    [
        ({"nonsense": 1}, [[0, 0, 0]], [[0, 0, 0]], "invalid_settings"),
        ({}, [[0, 0, 0]], [[0, 1, 2]], "protocol"),
        ({}, [[0, 0, 0]], [[0, 0]], "protocol"),
        ({}, [[0, 0, 0]], np.zeros((0, 3)), "invalid_mesh"),
    ],
)
def test_a_job_with_invalid_content_fails_with_its_error_and_leaves_nothing(
    server, peer, settings, vertices, faces, code
):
    job_id = new_id()
    arrays = {
        "vertices": np.array(vertices, np.float32),
        "faces": np.array(faces, np.int32),
        "reference": np.zeros(3, np.uint8),
    }
    peer.say(
        "submit", {"job": job_id, "name": "broken", "settings": settings, "check_reference": False}, arrays
    )
    event = peer.hear("event").body
    assert (event["job"], event["state"], event["error"]["code"]) == (job_id, "failed", code)
    assert peer.ask("list", answer="jobs").body == NO_JOBS
    assert not (server.run_directory / "jobs" / job_id).exists()


def test_the_connection_file_survives_being_read_while_it_is_written(tmp_path):
    connection = api.connection.Connection("tcp://127.0.0.1:1", "s" * 40, "c" * 40, "k" * 40, 1, 2.0)
    assert api.connection.Connection.read(tmp_path) is None
    connection.write(tmp_path)
    assert api.connection.Connection.read(tmp_path) == connection
    dataclasses.replace(connection, pid=2).remove(tmp_path)
    assert api.connection.Connection.read(tmp_path) == connection, "removed the file of another server"
    connection.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "connection.json").write_text("{half")
    assert api.connection.Connection.read(tmp_path) is None
