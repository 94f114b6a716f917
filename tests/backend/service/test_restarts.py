"""Servers, workers and clients that start, stop, die and are replaced: no job is lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from backend.api import paths
from backend.api.errors import MAX_MESSAGE, OrbitError
from backend.api.events import State
from backend.service.journal import JOURNAL_FILE, Entry, Journal
from tests.pipelines.scripted import STAGES
from tests.servers import (
    PATIENCE_SECONDS,
    SCRIPTED,
    Peer,
    Server,
    api,
    new_id,
    server_pid,
    triangle_soup,
    wait_for,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def submit(peer: Peer, name: str) -> str:
    """Submits a scripted job and returns its id."""
    job_id, mesh = new_id(), triangle_soup()
    body = {"job": job_id, "name": name, "settings": {}, "check_reference": False}
    arrays = {"vertices": mesh.vertices, "faces": mesh.faces, "reference": np.zeros(3, np.uint8)}
    peer.say("submit", body, arrays)
    return job_id


def hear_event(peer: Peer, job_id: str, **fields) -> None:
    """Receives events until one of the job has these fields."""
    while True:
        event = peer.hear("event").body
        if event["job"] == job_id and all(event[name] == value for name, value in fields.items()):
            return


def list_jobs(peer: Peer) -> list[str]:
    return [job["job"] for job in peer.ask("list", answer="jobs").body["jobs"]]


def release(run, job_id: str, stage: str) -> None:
    """Ends the action ``wait`` of a scripted stage."""
    (run / "jobs" / job_id / f"{stage}.go").touch()


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_killed_in_any_stage_is_replaced_without_repeating_stages(watchers, run, stage):
    watcher = watchers()
    job_id = watcher.submit(f"{stage}=wait")
    watcher.until(job_id, "running", stage=stage)
    worker, server = watcher.worker_pid(), server_pid(run)
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: has_ended(worker))
    watcher.release(job_id, stage)
    event = watcher.final(job_id)
    assert event.state == "finished"
    assert event.result.report["ran"] == list(STAGES[STAGES.index(stage) :])
    assert (run / "jobs" / job_id / "ran.txt").read_text().split() == list(STAGES)
    assert server_pid(run) != server


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the worker ends when its native code returns")
def test_a_worker_in_native_code_dies_with_its_server(watchers, run):
    watcher = watchers()
    watcher.until(watcher.submit("bake=native:300"), "running", stage="bake")
    worker = watcher.worker_pid()
    os.kill(server_pid(run), signal.SIGKILL)
    wait_for(lambda: has_ended(worker))


def test_a_job_during_which_three_servers_died_is_not_tried_again(run, watchers):
    watcher = watchers()
    job_id = watcher.submit("bake=wait")
    for _ in range(3):
        watcher.until(job_id, "running", stage="bake")
        watcher.events.clear()
        os.kill(server_pid(run), signal.SIGKILL)
    event = watcher.final(job_id)
    assert event.error.code == "worker_died"
    assert "3 times" in event.error.message


def test_a_job_outlives_its_client_and_another_client_collects_it(watchers, run):
    first = watchers()
    job_id = first.submit("render=wait")
    first.until(job_id, "running", stage="render")
    first.close()
    second = watchers()
    second.client.follow([job_id])
    second.release(job_id, "render")
    assert second.final(job_id).result.report["ran"] == list(STAGES)
    second.client.follow([job_id])
    assert second.final(job_id).state == "finished"


def test_a_server_without_clients_and_jobs_ends_and_logs_it(run):
    server = Server(run, *SCRIPTED, "--idle-seconds", "0.5")
    server.connection()
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert not (run / "connection.json").exists()
    assert "nothing to do" in (run / "server.log").read_text()


def test_a_server_stays_while_a_job_runs_and_ends_after_it(run, watchers):
    server = Server(run, *SCRIPTED, "--idle-seconds", "0.5")
    with contextlib.closing(Peer(server.connection())) as peer:
        job_id = submit(peer, "render=wait")
        hear_event(peer, job_id, state="queued")
    time.sleep(2.5)  # several times the idle time
    assert server.process.poll() is None
    release(run, job_id, "render")
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert (run / "jobs" / job_id / "result" / "result.json").exists()


def test_a_second_server_for_the_same_folder_reports_the_first_and_ends(run):
    first = Server(run)
    first.connection()
    second = Server(run)
    assert "Another server already runs" in second.output()
    assert second.process.returncode == 0
    assert first.connection().pid == first.process.pid
    first.kill()


def test_serve_replace_stops_the_running_server_even_if_it_is_stuck(run):
    first = Server(run)
    os.kill(first.connection().pid, signal.SIGSTOP)
    second = Server(run, *SCRIPTED, "--replace")
    assert second.connection().pid == second.process.pid
    assert first.process.wait(PATIENCE_SECONDS) != 0
    second.kill()


def test_the_command_stop_stops_the_running_server_and_prints_nothing(run):
    server = Server(run)
    server.connection()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "backend", "stop"],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"ORBIT_TEXTURE_HOME": str(run.parent)},
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        assert server.process.wait(PATIENCE_SECONDS) == 0


def test_a_server_that_is_shut_down_leaves_its_job_for_the_next_server(run):
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        job_id = submit(peer, "render=wait")
        hear_event(peer, job_id, stage="render")
        peer.say("shutdown")
        assert server.process.wait(PATIENCE_SECONDS) == 0
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        assert list_jobs(peer) == [job_id]
        release(run, job_id, "render")
        hear_event(peer, job_id, state="finished")
    server.kill()


def test_a_job_that_was_moved_to_the_front_stays_there_in_the_next_server(run):
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        running = submit(peer, "render=wait")
        hear_event(peer, running, state="running")
        second = submit(peer, "")
        hear_event(peer, second, state="queued")
        third = submit(peer, "")
        hear_event(peer, third, state="queued")
        peer.say("order", {"jobs": [third]})
        assert list_jobs(peer) == [third, running, second]
        peer.say("shutdown")
        assert server.process.wait(PATIENCE_SECONDS) == 0
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        assert list_jobs(peer) == [third, running, second]
    server.kill()


def test_a_worker_that_cannot_start_fails_the_job_and_is_not_started_again(watchers, run):
    watcher = watchers("--pipeline", "tests.pipelines.nothing_here:run", "--idle-seconds", "15")
    event = watcher.final(watcher.submit())
    assert (event.error.code, event.error.fix) == ("worker_died", "install_backend")
    assert "ModuleNotFoundError" in (run / "worker.log").read_text()
    time.sleep(1.0)
    assert (run / "worker.log").read_text().count("ModuleNotFoundError") <= 2


def kill_worker(peer: Peer) -> int:
    """Kills the worker, ready or not, as soon as there is one, and returns its process id."""
    pid = wait_for(lambda: peer.ask("status", answer="facts").body["worker_pid"])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid


def test_a_worker_killed_while_it_is_idle_fails_no_job(watchers, run):
    watcher = watchers()
    watcher.final(watcher.submit())
    for pause in (0.0, 0.0, 0.01, 0.05, 0.2):
        os.kill(watcher.worker_pid(), signal.SIGKILL)
        time.sleep(pause)
        assert watcher.final(watcher.submit()).state == "finished"


def test_a_worker_killed_while_it_starts_fails_no_waiting_job(watchers, run):
    watcher = watchers()
    running = watcher.submit("prepare=sleep:60")
    waiting = [watcher.submit() for _ in range(3)]
    watcher.until(running, "running", stage="prepare")
    with contextlib.closing(Peer(api.connection.Connection.read(run))) as peer:
        first = kill_worker(peer)
        wait_for(lambda: peer.ask("status", answer="facts").body["worker_pid"] not in (first, None))
        kill_worker(peer)
    assert watcher.final(running).error.code == "worker_died"
    assert [watcher.final(job_id).state for job_id in waiting] == ["finished"] * 3


def test_a_worker_killed_at_every_start_fails_the_jobs_until_it_starts(watchers, run):
    watcher = watchers()
    watcher.final(watcher.submit())
    job_id = watcher.submit("paint=wait")
    watcher.until(job_id, "running", stage="paint")
    queued, killed = watcher.submit(), set()
    watcher.until(queued, "queued")
    with contextlib.closing(Peer(api.connection.Connection.read(run))) as peer:
        while not any(event.state == "failed" for event in watcher.of(queued)):
            if pid := peer.ask("status", answer="facts").body["worker_pid"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    error = watcher.final(queued).error
    assert (error.code, error.fix) == ("worker_died", "retry")
    assert "was killed" in error.message
    assert len(killed) == 4, "one with a job, three at their start"
    assert watcher.final(watcher.submit()).state == "finished"


@pytest.mark.parametrize(("crashes", "state"), [(2, "finished"), (3, "failed")])
def test_a_job_whose_worker_is_killed_before_it_begins_is_tried_thrice(watchers, crashes, state):
    watcher = watchers()
    event = watcher.final(watcher.submit(f"start=crash:{crashes}"))
    assert event.state == state
    assert event.error is None or (event.error.code, event.error.fix) == ("worker_died", "retry")
    assert watcher.final(watcher.submit()).state == "finished"


def test_what_is_left_of_jobs_never_received_and_of_discarded_ones_is_deleted(run):
    received_in_part, discarded = run / "jobs" / new_id(), run / "discarded" / new_id()
    for folder in (received_in_part / "job.part", discarded / "job"):
        folder.mkdir(parents=True)
    server = Server(run)
    server.connection()
    wait_for(lambda: not received_in_part.exists() and not discarded.exists())
    server.kill()


def test_any_number_of_jobs_with_the_longest_errors_is_listed(watchers, run):
    run.mkdir()
    error = OrbitError("é" * MAX_MESSAGE)
    entries = [
        Entry(new_id(), "Suzanne", State.FAILED, error=error, order=float(number)) for number in range(500)
    ]
    for entry in entries:
        (run / "jobs" / entry.job_id / "job").mkdir(parents=True)
    with contextlib.closing(Journal(run / JOURNAL_FILE)) as journal:
        journal._write(*entries)
    watcher = watchers()
    watcher.client.follow()
    for entry in entries:
        assert watcher.final(entry.job_id).error.message == error.message
