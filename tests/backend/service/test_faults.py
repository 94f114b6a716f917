"""Results that cannot be read or sent, workers that send nonsense, errors in the server's own loop: each
fails one job with a sentence, and all others go on."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import sys
import threading
import time

import numpy as np
import pytest
import zmq

from backend import store
from backend.api import wire
from backend.api.job import MAPS, Result
from backend.mesh.tiles import MAX_TILES
from backend.service.jobs import Jobs
from backend.service.server import Server as ServerInProcess
from backend.service.supervisor import Supervisor
from tests.servers import (
    SCRIPTED,
    Peer,
    Watcher,
    api,
    new_id,
    server_pid,
    triangle_soup,
    wait_for,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def refetch(watcher: Watcher, job_id: str):
    """The event with which a job ends that a client asks for again."""
    watcher.events.clear()
    watcher.client.follow([job_id])
    return watcher.final(job_id)


def empty(path) -> None:
    path.write_bytes(b"")


def cut(path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replace_by_folder(path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "name", ["corner_uvs.npy", "base_color.png", "sheet", "result.json", "checksums.json"]
)
@pytest.mark.parametrize("damage", [empty, cut, flip, os.unlink, replace_by_folder])
def test_a_damaged_result_fails_its_job_until_it_is_retried(watcher, name, damage):
    if (damage, name) == (os.unlink, "checksums.json"):
        pytest.skip("results of earlier versions have none")
    job_id, server = watcher.submit(), server_pid(watcher.run_directory)
    assert watcher.final(job_id).state == "finished"
    damage(watcher.run_directory / "jobs" / job_id / "result" / name)
    event = refetch(watcher, job_id)
    assert (event.state, event.error.code, event.error.fix) == ("failed", "storage", "retry")
    assert "missing or damaged" in event.error.message
    watcher.events.clear()
    watcher.client.retry(job_id)
    event = watcher.final(job_id)
    assert event.state == "finished"
    assert event.result.report["ran"] == [], "the stages that are kept ran again"
    assert bytes(event.result.textures["base_color"]) == job_id.encode()
    assert server_pid(watcher.run_directory) == server


def test_a_result_too_large_to_send_fails_its_job_and_no_other(watcher):
    job_id, server = watcher.submit(), server_pid(watcher.run_directory)
    watcher.final(job_id)
    textures = {f"base_color.{number}": np.zeros(1, np.uint8) for number in range(wire.MAX_ARRAYS + 1)}
    store.save_result(watcher.run_directory / "jobs" / job_id, Result(None, textures, {}))
    event = refetch(watcher, job_id)
    assert (event.state, event.error.code) == ("failed", "storage")
    assert "cannot be sent" in event.error.message
    assert watcher.final(watcher.submit()).state == "finished"
    assert server_pid(watcher.run_directory) == server


def test_a_report_that_is_not_json_fails_its_job(watcher):
    event = watcher.final(watcher.submit("result=nan"))
    assert (event.state, event.error.code) == ("failed", "internal")
    assert "not JSON" in event.error.message


def test_a_result_of_every_map_on_the_most_tiles_arrives(watcher):
    event = watcher.final(watcher.submit(f"result=tiles:{MAX_TILES}"))
    assert event.state == "finished"
    assert len(event.result.textures) == MAX_TILES * len(MAPS)


def test_a_job_that_keeps_every_map_on_the_most_tiles_can_be_sent():
    image = np.zeros(3, np.uint8)
    kept = {f"{name}.{1001 + tile}": image for name in MAPS for tile in range(MAX_TILES)}
    mesh = triangle_soup()
    job = api.job.Job(
        new_id(),
        "tiles",
        mesh,
        image,
        api.settings.Settings(),
        api.job.Kept(kept, np.ones(len(mesh.faces), np.uint8)),
    )
    assert len(wire.pack("submit", job.body(), job.arrays())) > len(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker's pipe in /proc")
@pytest.mark.parametrize(
    "line",
    [
        "",
        "[1]",
        "nonsense",
        '{"event":"nothing"}',
        '{"event":"progress"}',
        '{"event":"progress","stage":"x","fraction":NaN,"device":null}',
        '{"event":"progress","stage":"x","fraction":0.5,"device":{"odd":1}}',
        '{"event":"preview","shape":[7],"pictures":"!"}',
        '{"event":"failed","error":null}',
    ],
)
def test_a_worker_that_sends_nonsense_is_replaced_and_its_job_fails(watcher, line):
    server = server_pid(watcher.run_directory)
    event = watcher.final(watcher.submit(f"paint=babble:{line}"))
    assert (event.state, event.error.code, event.error.fix) == ("failed", "worker_died", "retry")
    assert "cannot be understood" in event.error.message
    assert watcher.final(watcher.submit()).state == "finished"
    assert server_pid(watcher.run_directory) == server


@contextlib.contextmanager
def serve_in_thread(run, silence_seconds: float = 600.0):
    """A server in a thread of this process, with a real worker."""
    servers = []

    def serve():
        servers.append(ServerInProcess(run, 60.0, SCRIPTED[1], silence_seconds))
        servers[0].run()

    run.mkdir()
    loop = threading.Thread(target=serve, daemon=True)
    loop.start()
    wait_for(lambda: api.connection.Connection.read(run))
    try:
        yield servers[0]
    finally:
        servers[0].stop()
        loop.join(10.0)
    assert not loop.is_alive()


@pytest.mark.parametrize("place", ["receive", "call", "tick", "start_next"])
def test_an_unexpected_error_anywhere_in_the_loop_does_not_end_it(run, monkeypatch, place):
    def fail(*_):
        raise RuntimeError("nobody expected this")

    with contextlib.ExitStack() as stack, monkeypatch.context() as patch:
        if place == "receive":
            patch.setattr("backend.service.server.wire.unpack", fail)
            patch.setattr(ServerInProcess, "_send", fail)
        elif place == "tick":
            patch.setattr(Supervisor, "tick", fail)
        elif place == "start_next":
            patch.setattr(Jobs, "start_next", fail)
        server = stack.enter_context(serve_in_thread(run))
        connection = api.connection.Connection.read(run)
        if place == "call":
            server._calls.put(fail)
        with contextlib.closing(Peer(connection, greet=False)) as peer:
            peer.say("hello", {"version": api.paths.VERSION})
            peer.hear("welcome", seconds=0.5)
        patch.undo()
        with contextlib.closing(Peer(connection)) as peer:
            assert peer.ask("ping", answer="pong")


@pytest.mark.parametrize(
    ("name", "stop", "state"),
    [
        ("paint=deaf:300", False, "failed"),
        ("paint=wait", True, "failed"),
        ("paint=busy:4", False, "finished"),
    ],
)
def test_a_worker_that_says_and_does_nothing_is_replaced(watchers, run, name, stop, state):
    with serve_in_thread(run, silence_seconds=2.0):
        watcher = watchers()
        job_id = watcher.submit(name)
        watcher.until(job_id, "running", stage="paint")
        if stop:
            os.kill(watcher.worker_pid(), signal.SIGSTOP)
        event = watcher.final(job_id)
        assert event.state == state
        assert event.error is None or "said and did nothing" in event.error.message
        time.sleep(2.5)  # an idle worker may be silent
        assert watcher.final(watcher.submit()).state == "finished"
        watcher.close()


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": 7},
        {"endpoint": "tcp://127.0.0.1:0"},
        {"endpoint": "tcp://127.0.0.1:99999999999"},
        {"endpoint": "ipc:///etc/passwd"},
        {"server_key": None},
        {"server_key": "é" * 40},
        {"client_key": "~" * 40},
        {"client_key": "#" * 40},
        {"client_secret": "k" * 39},
        {"pid": "1"},
        {"pid": -1},
        {"pid": 2**70},
        {"pid": True},
        {"started": "yesterday"},
        {"started": float("inf")},
        {"protocol": []},
        {"version": 1},
        {"more": 1},
    ],
)
def test_a_connection_file_of_wrong_types_is_as_good_as_none(tmp_path, change):
    keys = [zmq.curve_keypair()[0].decode() for _ in range(3)]
    right = api.connection.Connection("tcp://127.0.0.1:1", *keys, 1, 2.0)
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(dataclasses.asdict(right)))
    assert api.connection.Connection.read(tmp_path) == right
    file.write_text(json.dumps(dataclasses.asdict(right) | change))
    assert api.connection.Connection.read(tmp_path) is None


@pytest.mark.parametrize("content", ["[]", "[" * 100_000, "\0" * 400])
def test_a_client_starts_a_server_beside_a_damaged_connection_file(watchers, run, content):
    run.mkdir()
    (run / "connection.json").write_text(content)
    (run / "connection.json.4711").touch()
    watcher = watchers()
    assert watcher.final(watcher.submit()).state == "finished"
    assert not (run / "connection.json.4711").exists()


def test_a_full_disk_leaves_no_part_of_a_connection_file(disk):
    place = disk("size=16k")
    with contextlib.suppress(OSError), open(place / "ballast", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    keys = [zmq.curve_keypair()[0].decode() for _ in range(3)]
    with pytest.raises(api.errors.StorageError):
        api.connection.Connection("tcp://127.0.0.1:1", *keys, 1, 2.0).write(place)
    assert {path.name for path in place.iterdir()} == {"ballast"}


def test_a_job_over_which_three_servers_end_is_given_up(watchers, run):
    watcher = watchers()
    job_id = watcher.submit()
    watcher.final(job_id)
    # A server that reads this result waits for ever; so the test knows when to end it.
    report = run / "jobs" / job_id / "result" / "result.json"
    report.unlink()
    os.mkfifo(report)
    watcher.events.clear()
    watcher.client.follow([job_id])
    for _ in range(3):
        with open(report, "w"):  # opens as soon as the server has it open
            server = server_pid(run)
            os.kill(server, signal.SIGKILL)
        wait_for(
            lambda server=server: (
                (server_pid(run) if (run / "connection.json").exists() else server) != server
            )
        )
    event = watcher.final(job_id)
    assert (event.state, event.error.code) == ("failed", "worker_died")
    assert "3 times" in event.error.message
    shutil.rmtree(report.parent)
    assert watcher.final(watcher.submit()).state == "finished"
