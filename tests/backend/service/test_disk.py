"""What the server keeps and for how long, and its errors when the disk is full or read-only."""

import contextlib
import os
import signal
import time

import pytest

from tests.servers import Server, Watcher, end_server, server_pid, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def set_age(folder, days: float) -> None:
    os.utime(folder, (time.time() - days * 24 * 3600,) * 2)


def test_results_that_nobody_discards_are_deleted_after_14_days(watchers, run):
    watcher = watchers()
    old, young = watcher.submit(), watcher.submit()
    assert all(watcher.final(job_id).state == "finished" for job_id in (old, young))
    set_age(run / "jobs" / old, days=14.1)
    set_age(run / "jobs" / young, days=13.9)
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
    for days, job_id in enumerate((large, older, oldest), start=1):
        set_age(run / "jobs" / job_id, days)
    os.kill(server_pid(run), signal.SIGKILL)
    wait_for(lambda: not (run / "jobs" / oldest).exists())
    assert {path.name for path in (run / "jobs").iterdir()} == {older, large}


def test_a_run_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").touch()
    server = Server(tmp_path / "file" / "run")
    assert f"The folder {tmp_path / 'file' / 'run'} cannot be used" in server.output()
    assert server.process.returncode == 2


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
