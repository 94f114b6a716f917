"""Servers, workers and clients that come, go, die and are replaced; no job is lost."""

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
from tests.pipelines.scripted import STAGES
from tests.servers import SCRIPTED, Peer, Server, new_id, server_pid, triangle_soup, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_killed_in_any_stage_is_replaced_and_finished_stages_are_not_repeated(watchers, run, stage):
    watcher = watchers()
    job_id = watcher.submit(f"{stage}=sleep:1.5")
    watcher.until(job_id, "running", stage=stage)
    worker, server = watcher.worker_pid(), server_pid(run)
    os.kill(server, signal.SIGKILL)
    wait_for(
        lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE, 2.0
    )
    event = watcher.final(job_id)
    assert event.state == "finished"
    assert event.result.report["ran"] == list(STAGES[STAGES.index(stage) :])
    assert (run / "jobs" / job_id / "ran.txt").read_text().split() == list(STAGES)
    assert server_pid(run) != server


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the worker ends when its native code returns")
def test_a_worker_in_native_code_dies_with_its_server(watchers, run):
    watcher = watchers()
    watcher.until(watcher.submit("bake=native:30"), "running", stage="bake")
    worker = watcher.worker_pid()
    os.kill(server_pid(run), signal.SIGKILL)
    wait_for(
        lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE, 2.0
    )


def test_a_job_that_brings_three_servers_down_is_given_up(run, watchers):
    watcher = watchers()
    job_id = watcher.submit("bake=sleep:30")
    for _ in range(3):
        watcher.until(job_id, "running", stage="bake")
        watcher.events.clear()
        os.kill(server_pid(run), signal.SIGKILL)
    event = watcher.final(job_id)
    assert event.error.code == "worker_died"
    assert "3 times" in event.error.message


def test_a_job_outlives_blender_and_a_new_one_collects_it(watchers, run):
    first = watchers()
    job_id = first.submit("render=sleep:1.0")
    first.until(job_id, "running", stage="render")
    first.close()
    second = watchers()
    second.client.follow([job_id])
    assert second.final(job_id).result.report["ran"] == list(STAGES)
    second.client.follow([job_id])
    assert second.final(job_id).state == "finished"


def test_a_server_without_clients_and_work_ends_and_says_so_in_its_files(run):
    server = Server(run, *SCRIPTED, "--idle-seconds", "0.5")
    server.connection()
    assert server.process.wait(10) == 0
    assert not (run / "connection.json").exists()
    assert "nothing to do" in (run / "server.log").read_text()


def test_a_server_stays_while_a_job_runs_and_ends_after_it(run, watchers):
    server = Server(run, *SCRIPTED, "--idle-seconds", "0.5")
    with contextlib.closing(Peer(server.connection())) as peer:
        job_id = new_id()
        mesh = triangle_soup()
        peer.say(
            "submit",
            {"job": job_id, "name": "render=sleep:3", "settings": {}},
            {"vertices": mesh.vertices, "faces": mesh.faces, "reference": np.zeros(3, np.uint8)},
        )
        assert peer.hear("event").body["state"] == "queued"
    time.sleep(2.5)
    assert server.process.poll() is None
    assert server.process.wait(8) == 0
    assert (run / "jobs" / job_id / "result" / "result.json").exists()


def test_a_second_server_for_the_same_folder_ends_with_a_sentence(run):
    first = Server(run)
    first.connection()
    second = Server(run)
    assert "Another server already runs" in second.output()
    assert second.process.returncode == 0
    assert first.connection().pid == first.process.pid
    first.kill()


def test_a_server_told_to_replace_another_ends_it_even_if_it_is_stuck(run):
    first = Server(run)
    os.kill(first.connection().pid, signal.SIGSTOP)
    second = Server(run, *SCRIPTED, "--replace")
    assert second.connection().pid == second.process.pid
    assert first.process.wait(1) != 0
    second.kill()


def test_the_command_stop_ends_the_server_that_runs_and_says_nothing_where_none_does(run):
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
        assert server.process.wait(1) == 0


def test_a_server_told_to_shut_down_leaves_the_job_for_the_next_one(run):
    server = Server(run)
    job_id, mesh = new_id(), triangle_soup()
    with contextlib.closing(Peer(server.connection())) as peer:
        peer.say(
            "submit",
            {"job": job_id, "name": "render=sleep:1", "settings": {}},
            {"vertices": mesh.vertices, "faces": mesh.faces, "reference": np.zeros(3, np.uint8)},
        )
        while peer.hear("event").body["stage"] != "render":
            pass
        peer.say("shutdown")
        assert server.process.wait(5) == 0
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        jobs = peer.ask("list", answer="jobs").body["jobs"]
        assert [job["job"] for job in jobs] == [job_id]
        while peer.hear("event").body["state"] != "finished":
            pass
    server.kill()


def test_a_job_that_was_put_first_stays_so_under_the_next_server(run):
    server, mesh = Server(run), triangle_soup()
    running, second, third = (new_id() for _ in range(3))
    with contextlib.closing(Peer(server.connection())) as peer:
        for job_id, script in ((running, "render=sleep:30"), (second, ""), (third, "")):
            peer.say(
                "submit",
                {"job": job_id, "name": script, "settings": {}},
                {"vertices": mesh.vertices, "faces": mesh.faces, "reference": np.zeros(3, np.uint8)},
            )
            while (event := peer.hear("event").body)["job"] != job_id or event["state"] != (
                "running" if job_id == running else "queued"
            ):
                pass
        peer.say("order", {"jobs": [third]})
        assert [job["job"] for job in peer.ask("list", answer="jobs").body["jobs"]] == [
            third,
            running,
            second,
        ]
        peer.say("shutdown")
        assert server.process.wait(5) == 0
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        assert [job["job"] for job in peer.ask("list", answer="jobs").body["jobs"]] == [
            third,
            running,
            second,
        ]
    server.kill()


def test_a_worker_that_cannot_start_fails_the_job_instead_of_starting_for_ever(watchers, run):
    watcher = watchers("--pipeline", "tests.pipelines.nothing_here:run", "--idle-seconds", "15")
    event = watcher.final(watcher.submit())
    assert (event.error.code, event.error.fix) == ("worker_died", "install_backend")
    assert "ModuleNotFoundError" in (run / "worker.log").read_text()
    time.sleep(1.0)
    assert (run / "worker.log").read_text().count("ModuleNotFoundError") <= 2


def test_files_left_in_the_folder_by_no_known_job_are_removed(run):
    stranger = run / "jobs" / new_id()
    stranger.mkdir(parents=True)
    server = Server(run)
    server.connection()
    wait_for(lambda: not stranger.exists())
    server.kill()
