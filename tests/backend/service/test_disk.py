"""What the server keeps, for how long, and what it says when the disk is full or may not be written."""

import contextlib
import os
import signal
import time

import pytest

from tests.servers import Server, Watcher, end_server, server_pid, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def age(folder, days: float) -> None:
    os.utime(folder, (time.time() - days * 24 * 3600,) * 2)


def test_results_that_nobody_discards_are_dropped_after_14_days(watchers, run):
    watcher = watchers()
    old, young = watcher.submit(), watcher.submit()
    assert all(watcher.final(job_id).state == "finished" for job_id in (old, young))
    age(run / "jobs" / old, days=14.1)
    age(run / "jobs" / young, days=13.9)
    last = watcher.submit()
    assert watcher.final(last).state == "finished"
    wait_for(lambda: not (run / "jobs" / old).exists())
    assert {path.name for path in (run / "jobs").iterdir()} == {young, last}


def test_the_oldest_results_that_nobody_discards_are_dropped_when_all_take_more_than_8_gib(watchers, run):
    watcher = watchers()
    oldest, older, large = (watcher.submit() for _ in range(3))
    assert all(watcher.final(job_id).state == "finished" for job_id in (oldest, older, large))
    for job_id, gibibytes in ((oldest, 3), (older, 1), (large, 6)):
        with open(run / "jobs" / job_id / "ballast", "wb") as file:
            file.truncate(gibibytes * 2**30)  # takes no room on the disk
    for days, job_id in enumerate((large, older, oldest), start=1):
        age(run / "jobs" / job_id, days)
    os.kill(server_pid(run), signal.SIGKILL)
    wait_for(lambda: not (run / "jobs" / oldest).exists())
    assert {path.name for path in (run / "jobs").iterdir()} == {older, large}


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    server = Server(tmp_path / "file" / "run")
    assert f"The folder {tmp_path / 'file' / 'run'} cannot be used" in server.output()
    assert server.process.returncode == 2


@pytest.fixture
def full_disk(disk):
    place = disk("size=3m")
    yield place
    end_server(place / "run")


def test_a_job_that_does_not_fit_on_the_disk_fails_with_a_sentence_and_a_smaller_one_works(full_disk):
    with contextlib.closing(Watcher(full_disk / "run")) as watcher:
        event = watcher.final(watcher.submit(reference=bytes(8_000_000)))
        assert (event.state, event.error.code) == ("failed", "storage")
        assert "disk is full" in event.error.message
        assert watcher.final(watcher.submit()).state == "finished"


def test_a_disk_that_fills_up_while_a_job_runs_fails_that_job_only(full_disk):
    with contextlib.closing(Watcher(full_disk / "run")) as watcher:
        job_id = watcher.submit("render=sleep:0.5")
        watcher.until(job_id, "running", stage="render")
        ballast = full_disk / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        event = watcher.final(job_id)
        assert (event.state, event.error.code) == ("failed", "storage")
        ballast.unlink()
        assert watcher.final(watcher.submit()).state == "finished"


def test_a_read_only_disk_is_told_in_a_sentence(disk):
    with contextlib.closing(Watcher(disk("ro") / "run")) as watcher:
        event = watcher.final(watcher.submit())
        assert (event.state, event.error.code) == ("failed", "no_worker")
        assert "Read-only file system" in event.error.message
