"""What the server keeps and for how long, and its errors when the disk is full or read-only."""

import contextlib
import os
import signal
import sqlite3

import numpy as np
import pytest

from backend.service.journal import JOURNAL_FILE
from tests.servers import (
    PATIENCE_SECONDS,
    SCRIPTED,
    Peer,
    Server,
    Watcher,
    end_server,
    new_id,
    server_pid,
    triangle_soup,
    wait_for,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def end_server_and_set_ages(run, days: dict[str, float]) -> None:
    """Ends the server as a crash does, and lets jobs have ended so many days ago on the journal's clock."""
    os.kill(server_pid(run), signal.SIGKILL)
    journal = sqlite3.connect(run / JOURNAL_FILE, timeout=10.0)
    with contextlib.closing(journal):
        for job_id, age in days.items():
            journal.execute("UPDATE jobs SET updated = updated - ? WHERE id = ?", (age * 24 * 3600, job_id))
        journal.commit()


def test_results_that_nobody_discards_are_deleted_after_14_days(watchers, run):
    watcher = watchers()
    old, young = watcher.submit(), watcher.submit()
    assert all(watcher.final(job_id).state == "finished" for job_id in (old, young))
    watcher.close()
    end_server_and_set_ages(run, {old: 14.1, young: 13.9})
    watcher = watchers()
    last = watcher.submit()
    assert watcher.final(last).state == "finished"
    wait_for(lambda: not (run / "jobs" / old).exists())
    assert {path.name for path in (run / "jobs").iterdir()} == {young, last}


def test_the_oldest_results_are_deleted_when_all_take_more_than_8_gib(watchers, run):
    watcher = watchers()
    oldest, older, large = (watcher.submit() for _ in range(3))
    assert all(watcher.final(job_id).state == "finished" for job_id in (oldest, older, large))
    for job_id, gibibytes in ((oldest, 3), (older, 1), (large, 6)):
        with open(run / "jobs" / job_id / "ballast", "wb") as file:
            file.truncate(gibibytes * 2**30)  # takes no room on the disk
    watcher.close()
    end_server_and_set_ages(run, {large: 1, older: 2, oldest: 3})
    watchers()
    wait_for(lambda: not (run / "jobs" / oldest).exists())
    assert {path.name for path in (run / "jobs").iterdir()} == {older, large}


CLOCK = """
import os, time, psutil
SHIFT = float(os.environ["CLOCK_SHIFT_DAYS"]) * 24 * 3600
system_time, system_boot_time = time.time, psutil._psplatform.boot_time
time.time = lambda: system_time() + SHIFT
psutil._psplatform.boot_time = lambda: system_boot_time() + SHIFT
"""
"""What a program sees after somebody has set the clock."""


@pytest.fixture
def set_clock(tmp_path, monkeypatch):
    """Sets the clock of all servers that are started from now on, by so many days."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def set_clock(days: float) -> None:
        monkeypatch.setenv("CLOCK_SHIFT_DAYS", str(days))

    return set_clock


def run_job(peer: Peer) -> str:
    """Runs a job to its end and returns its id."""
    job_id, mesh = new_id(), triangle_soup()
    arrays = {
        "vertices": mesh.vertices,
        "faces": mesh.faces,
        "reference": np.frombuffer(job_id.encode(), np.uint8),
    }
    peer.say("submit", {"job": job_id, "name": "", "settings": {}, "check_reference": False}, arrays)
    wait_for(lambda: (event := peer.hear("event").body)["job"] == job_id and event["state"] == "finished")
    return job_id


@pytest.mark.parametrize("days", [400.0, -400.0])
def test_a_clock_that_is_set_deletes_no_result_and_shields_no_server(run, set_clock, days):
    finished, server = [], None
    for shift in (0.0, days, 0.0):
        set_clock(shift)
        before, server = server, Server(run, *SCRIPTED, "--replace")
        with contextlib.closing(Peer(server.connection())) as peer:
            assert before is None or before.process.wait(PATIENCE_SECONDS) == 0
            finished.append(run_job(peer))
            assert {path.name for path in (run / "jobs").iterdir()} == set(finished)
            listed = [job["job"] for job in peer.ask("list", answer="jobs").body["jobs"]]
            assert listed == finished, "the order is that of the clock"
    server.kill()


def test_a_run_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").touch()
    server = Server(tmp_path / "file" / "run")
    assert f"The folder {tmp_path / 'file' / 'run'} cannot be used" in server.output()
    assert server.process.returncode == 1


@pytest.fixture
def full_disk(disk):
    place = disk("size=3m")
    yield place
    end_server(place / "run")


def test_a_job_that_does_not_fit_on_the_disk_fails_and_a_smaller_one_works(full_disk):
    with contextlib.closing(Watcher(full_disk / "run")) as watcher:
        event = watcher.final(watcher.submit(reference=bytes(8_000_000)))
        assert (event.state, event.error.code) == ("failed", "storage")
        assert "disk is full" in event.error.message
        assert watcher.final(watcher.submit()).state == "finished"


def test_a_disk_that_fills_up_while_a_job_runs_fails_only_that_job(full_disk):
    with contextlib.closing(Watcher(full_disk / "run")) as watcher:
        job_id = watcher.submit("render=wait")
        watcher.until(job_id, "running", stage="render")
        ballast = full_disk / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        watcher.release(job_id, "render")  # an empty file takes no room on the disk
        event = watcher.final(job_id)
        assert (event.state, event.error.code) == ("failed", "storage")
        ballast.unlink()
        assert watcher.final(watcher.submit()).state == "finished"


def test_a_read_only_disk_is_reported(disk):
    with contextlib.closing(Watcher(disk("ro") / "run")) as watcher:
        event = watcher.final(watcher.submit())
        assert (event.state, event.error.code) == ("failed", "no_worker")
        assert "Read-only file system" in event.error.message
