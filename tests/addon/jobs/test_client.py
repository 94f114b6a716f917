"""Blender's client in a plain Python: it never blocks, starts the server when necessary, and loses no job."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import psutil
import pytest

from tests.pipelines.scripted import STAGES
from tests.servers import (
    PYTHON,
    ROOT,
    SCRIPTED,
    JobRequest,
    Peer,
    Server,
    Watcher,
    api,
    new_id,
    triangle_soup,
    wait_for,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def test_importing_the_client_opens_nothing_and_starts_nothing():
    script = """
import sys, threading; sys.path.insert(0, "tests")
import servers, psutil
process = psutil.Process()
assert threading.active_count() == 1, threading.enumerate()
assert not process.children() and not process.net_connections("all"), process.net_connections("all")
assert "torch" not in sys.modules
servers.client.Client(servers.Path("nowhere"), servers.PYTHON)
assert threading.active_count() == 1 and not process.children()
assert process.num_threads() == 1, process.threads()
"""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)


def test_jobs_submitted_before_there_is_a_server_run_once(watchers, run):
    watcher = watchers()
    ids = [watcher.submit(f"job {number}") for number in range(5)]
    assert all(watcher.final(job_id).state == "finished" for job_id in ids)
    for job_id in ids:
        assert len((run / "jobs" / job_id / "ran.txt").read_text().split()) == len(STAGES)
        assert [event.state for event in watcher.of(job_id)].count("finished") == 1


def test_a_missing_environment_is_reported_with_its_fix_until_it_is_installed(watchers, run, tmp_path):
    python = tmp_path / "environment" / "python"
    watcher = watchers(python=python)
    event = watcher.final(watcher.submit())
    assert (event.state, event.error.code, event.error.fix) == ("failed", "no_worker", "install_backend")
    assert watcher.client.connection_error == event.error
    assert not watcher.client.is_connected
    assert not run.exists()
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{PYTHON}" "$@"\n')
    python.chmod(0o755)
    assert watcher.final(watcher.submit()).state == "finished"
    assert watcher.client.connection_error is None


def test_a_broken_environment_is_reported_with_its_own_error(watchers, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ModuleNotFoundError: No module named zmq'\nexit 1\n")
    python.chmod(0o755)
    watcher = watchers(python=python)
    event = watcher.final(watcher.submit())
    assert (event.error.code, event.error.fix) == ("no_worker", "install_backend")
    assert "No module named zmq" in event.error.message


def test_a_reference_that_cannot_be_read_fails_its_job(watchers, tmp_path):
    (tmp_path / "empty.png").touch()
    watcher = watchers()
    for reference in (tmp_path / "missing.png", tmp_path, tmp_path / "empty.png", b""):
        event = watcher.final(watcher.submit(reference=reference))
        assert (event.state, event.error.code) == ("failed", "invalid_image")
    assert (
        str(tmp_path / "missing.png")
        in watcher.final(watcher.submit(reference=tmp_path / "missing.png")).error.message
    )


def test_a_mesh_that_cannot_be_made_fails_only_its_own_job(watchers):
    def raise_memory_error():
        raise MemoryError

    def raise_invalid_mesh():
        raise api.errors.InvalidMesh("This mesh is a test.")

    watcher = watchers()
    before, broken = watcher.submit(), [new_id(), new_id()]
    for job_id, mesh in zip(broken, (raise_memory_error, raise_invalid_mesh), strict=True):
        watcher.client.submit(JobRequest(job_id, "broken", mesh, b"image", api.settings.Settings()))
    after = watcher.submit()
    assert [watcher.final(job_id).error.code for job_id in broken] == ["out_of_memory", "invalid_mesh"]
    assert watcher.final(broken[1]).error.message == "This mesh is a test."
    assert [watcher.final(job_id).state for job_id in (before, after)] == ["finished", "finished"]


def test_a_reference_may_be_a_file_bytes_pixels_or_a_function(watchers, tmp_path):
    (tmp_path / "image.png").write_bytes(b"bytes of a file")
    watcher = watchers()
    pixels = np.arange(16, dtype=np.uint8).reshape(2, 2, 4)
    for reference, expected in (
        (tmp_path / "image.png", b"bytes of a file"),
        (b"bytes", b"bytes"),
        (pixels, bytes(range(16))),
        (lambda: pixels, bytes(range(16))),
    ):
        assert (
            bytes(watcher.final(watcher.submit(reference=reference)).result.textures["base_color"])
            == expected
        )


def test_a_reference_of_another_kind_is_refused_before_it_is_sent(watchers):
    watcher = watchers()
    event = watcher.final(watcher.submit(reference=np.zeros((2, 2, 3), np.uint8)))
    assert event.error.code == "protocol"


def test_no_client_call_blocks_the_main_thread_even_if_the_server_is_stuck(watchers, run, tmp_path):
    watcher = watchers()
    wait_for(lambda: watcher.client.is_connected)
    server = api.connection.Connection.read(run).pid
    os.kill(server, signal.SIGSTOP)
    seconds, mesh = [], triangle_soup(300_000)
    try:
        for _ in range(20):
            job_id = new_id()
            request = JobRequest(job_id, "x", lambda: mesh, b"image", api.settings.Settings())
            calls = (
                partial(watcher.client.submit, request),
                watcher.client.poll,
                partial(watcher.client.cancel, job_id),
                partial(watcher.client.discard, job_id),
                watcher.client.follow,
                lambda: watcher.client.is_connected,
            )
            for call in calls:
                begun = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - begun)
            time.sleep(0.01)
        begun = time.perf_counter()
        watcher.client.close()
        closing = time.perf_counter() - begun
    finally:
        os.kill(server, signal.SIGCONT)
    print(f"\nslowest call {max(seconds) * 1e3:.2f} ms, close {closing * 1e3:.0f} ms")
    # A call that waited for the thread or the server would take 0.2 s or more each of the 20 times; a busy
    # computer delays only some of the calls.
    slow = np.reshape(seconds, (20, -1)) > 0.2
    assert np.median(seconds) < 0.02
    assert not slow.all(axis=0).any()
    assert closing < 10


def test_a_stuck_server_is_noticed_and_restarted_without_losing_the_job(watchers, run):
    watcher = watchers()
    job_id = watcher.submit("render=sleep:2")
    watcher.until(job_id, "running", stage="render")
    stuck = api.connection.Connection.read(run).pid
    os.kill(stuck, signal.SIGSTOP)
    wait_for(lambda: not watcher.client.is_connected)
    watcher.client.restart_server()
    assert watcher.final(job_id).state == "finished"
    assert api.connection.Connection.read(run).pid != stuck
    assert not psutil.pid_exists(stuck) or psutil.Process(stuck).status() == psutil.STATUS_ZOMBIE


def test_a_connection_file_that_leads_nowhere_is_replaced(watchers, run):
    run.mkdir()
    keys = [b"0" * 40] * 3
    dead = api.connection.Connection("tcp://127.0.0.1:9", *(key.decode() for key in keys), 2**22 - 1, 0.0)
    dead.write(run)
    watcher = watchers()
    assert watcher.final(watcher.submit()).state == "finished"
    assert api.connection.Connection.read(run) != dead


def test_two_clients_share_a_server_and_receive_only_their_own_events(watchers, run):
    first, second = watchers(), watchers()
    mine, theirs = first.submit("render=sleep:0.3"), second.submit("render=sleep:0.3")
    assert first.final(mine).result
    assert second.final(theirs).result
    assert not first.of(theirs)
    assert not second.of(mine)
    first.client.follow()
    assert first.final(theirs).result.report["name"] == "render=sleep:0.3"
    with contextlib.closing(Peer(api.connection.Connection.read(run))) as peer:
        assert peer.ask("status", answer="facts").body["clients"] == 3


def test_a_job_that_the_server_no_longer_has_is_reported(watchers):
    watcher = watchers()
    job_id = new_id()
    watcher.client.follow([job_id])
    event = watcher.final(job_id)
    assert (event.state, event.error.code) == ("failed", "storage")
    done = watcher.submit()
    watcher.final(done)
    watcher.client.discard(done)
    watcher.events.clear()
    watcher.client.follow([done])
    assert watcher.final(done).error.code == "storage"


def test_a_job_cancelled_before_there_is_a_server_never_runs(watchers, run):
    watcher = watchers()
    job_id = watcher.submit()
    watcher.client.cancel(job_id)
    assert watcher.final(job_id).state == "cancelled"
    other = watcher.submit()
    assert watcher.final(other).state == "finished"
    assert not (run / "jobs" / job_id).exists()


def install_tree(tree, version: str = api.paths.VERSION) -> None:
    """Copies this tree to a folder as Blender installs an extension, with a version of the test's choice. It
    replaces a tree that is there."""
    # A process that still runs from the folder may write its bytecode again meanwhile.
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(
        ROOT / "backend", tree / "backend", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    shutil.copytree(ROOT / "tests" / "pipelines", tree / "tests" / "pipelines", dirs_exist_ok=True)
    manifest = (ROOT / "blender_manifest.toml").read_text()
    (tree / "blender_manifest.toml").write_text(
        manifest.replace(f'version = "{api.paths.VERSION}"', f'version = "{version}"', 1)
    )


@contextlib.contextmanager
def serving(tree, run):
    """Runs a server of a tree; yields its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", "serve", "--run-dir", str(run), *SCRIPTED], cwd=tree
    )
    wait_for(lambda: api.connection.Connection.read(run))
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def older_server(run, tmp_path):
    """A server of an earlier version of this tree."""
    install_tree(tmp_path / "older", "0.0.1")
    with serving(tmp_path / "older", run) as process:
        yield process


def test_a_server_of_another_version_is_reported_and_can_be_restarted(watchers, older_server):
    watcher = watchers()
    event = watcher.final(watcher.submit())
    assert (event.error.code, event.error.fix) == ("version_mismatch", "restart_worker")
    assert "0.0.1" in event.error.message
    assert older_server.poll() is None
    watcher.client.restart_server()
    assert watcher.final(watcher.submit()).state == "finished"
    assert older_server.wait(5) is not None


@pytest.mark.parametrize("version", [api.paths.VERSION, "0.0.1"])
def test_the_next_job_after_an_update_gets_a_server_of_the_new_files(watchers, run, tmp_path, version):
    tree = tmp_path / "tree"
    install_tree(tree, version)
    with serving(tree, run) as server:
        first = watchers() if version == api.paths.VERSION else None
        if first:
            first.final(first.submit())
        install_tree(tree)
        watcher = first or watchers()
        event = watcher.final(watcher.submit())
        assert event.state == "finished", event.error
        assert server.wait(5) == 0
        assert api.connection.Connection.read(run).pid != server.pid


def test_a_running_job_continues_with_the_new_files_after_an_update(watchers, run, tmp_path):
    tree = tmp_path / "tree"
    install_tree(tree)
    with serving(tree, run):
        watcher = watchers()
        job_id = watcher.submit("bake=sleep:2")
        watcher.until(job_id, "running", stage="bake")
        install_tree(tree)
        event = watcher.final(job_id)
    assert event.state == "finished", event.error
    assert event.result.report["ran"] == ["bake", "refine"]


def test_a_running_job_starts_over_after_an_update_to_another_version(watchers, run, tmp_path):
    tree = tmp_path / "tree"
    install_tree(tree, "0.0.1")
    job_id, mesh = new_id(), triangle_soup()
    with (
        serving(tree, run) as server,
        contextlib.closing(Peer(api.connection.Connection.read(run), greet=False)) as peer,
    ):
        peer.say("hello", {"version": "0.0.1"})
        peer.say(
            "submit",
            {"job": job_id, "name": "bake=sleep:2", "settings": {}, "check_reference": False},
            {"vertices": mesh.vertices, "faces": mesh.faces, "reference": np.zeros(3, np.uint8)},
        )
        while (message := peer.hear()).type != "event" or message.body["stage"] != "bake":
            pass
        install_tree(tree)
        assert server.wait(5) == 0
        watcher = watchers()
        watcher.client.follow([job_id])
        event = watcher.final(job_id)
    assert event.state == "finished", event.error
    assert event.result.report["ran"] == list(STAGES)


def test_a_server_keeps_serving_while_its_files_are_being_replaced(watchers, run, tmp_path):
    install_tree(tmp_path / "tree")
    with serving(tmp_path / "tree", run) as server:
        watcher = watchers()
        wait_for(lambda: watcher.client.is_connected)
        (tmp_path / "tree").rename(tmp_path / "removed")
        time.sleep(1.5)
        assert server.poll() is None
        assert watcher.client.is_connected
        install_tree(tmp_path / "tree")
        assert server.wait(5) == 0
        assert watcher.final(watcher.submit()).state == "finished"


def test_a_program_that_ends_without_closing_the_client_does_not_hang(run):
    script = f"""
import sys; sys.path.insert(0, "tests")
import servers
watcher = servers.Watcher(servers.Path({str(run)!r}))
job_id = watcher.submit("render=sleep:1")
watcher.until(job_id, "running")
print(job_id)
"""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
    )
    print(f"\nended after {time.monotonic() - begun:.1f} s")
    with contextlib.closing(Watcher(run)) as watcher:
        watcher.client.follow([done.stdout.strip()])
        assert watcher.final(done.stdout.strip()).state == "finished"
        psutil.Process(api.connection.Connection.read(run).pid).kill()


def test_closing_the_client_ends_its_thread_and_it_can_start_again(watchers):
    watcher = watchers()
    assert watcher.final(watcher.submit()).state == "finished"
    before = threading.active_count()
    watcher.client.close()
    assert threading.active_count() == before - 1
    watcher.client.start()
    assert watcher.final(watcher.submit()).state == "finished"


def test_a_server_started_by_hand_is_used(watchers, run):
    server = Server(run)
    server.connection()
    watcher = watchers()
    assert watcher.final(watcher.submit()).state == "finished"
    assert server.process.poll() is None
    assert api.connection.Connection.read(run).pid == server.process.pid


def test_a_mask_travels_with_its_job_and_one_that_is_missing_fails_it(watchers, tmp_path):
    watcher, settings = watchers(), api.settings.Settings()
    (tmp_path / "mask.png").write_bytes(b"seven 7")
    for mask in (
        tmp_path / "mask.png",
        b"seven 7",
        lambda: np.zeros((5, 7), np.uint8),
        tmp_path / "none.png",
    ):
        job_id = new_id()
        watcher.client.submit(
            JobRequest(job_id, "masked", triangle_soup, job_id.encode(), settings, mask=mask)
        )
        event = watcher.final(job_id)
        if event.error:
            assert (event.error.code, mask.name) == ("invalid_image", "none.png")
            assert "The mask" in event.error.message
        else:
            assert event.result.report["mask"] == ([5, 7] if callable(mask) else [7])


def test_a_doubtful_view_arrives_with_its_candidates(watchers):
    watcher, job_id = watchers(), new_id()
    settings = api.settings.Settings(on_doubt="stop")
    watcher.client.submit(JobRequest(job_id, "register=doubt", triangle_soup, job_id.encode(), settings))
    error = watcher.final(job_id).error
    assert isinstance(error, api.errors.DoubtfulView)
    assert error.candidates[0]["azimuth"] == 30
    # It is in the journal too.
    watcher.client.close()
    again = watchers()
    again.client.follow([job_id])
    assert again.final(job_id).error.to_dict() == error.to_dict()
