"""Jobs as a client of the server sees them, with real processes and scripted stages."""

import contextlib
import dataclasses
import os
import signal
import sys
import time

import numpy as np
import psutil
import pytest

from backend.service import supervisor
from tests.pipelines.scripted import STAGES
from tests.servers import Peer, Watcher, api, triangle_soup, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def order_of(watcher: Watcher, *job_ids: str) -> list[str]:
    """The given jobs in the order in which the server runs them."""
    with contextlib.closing(Peer(api.connection.Connection.read(watcher.run_directory))) as peer:
        jobs = peer.ask("list", answer="jobs").body["jobs"]
    return [job["job"] for job in jobs if job["job"] in job_ids]


def test_a_job_goes_through_its_stages_and_comes_back_with_its_result(watcher):
    mesh = triangle_soup(7)
    job_id = watcher.submit("render=sleep:0.4", mesh, b"not really an image")
    event = watcher.final(job_id)
    assert event.state == "finished"
    assert event.result.corner_uvs.shape == (7, 3, 2)
    assert bytes(event.result.textures["base_color"]) == b"not really an image"
    assert event.result.report["ran"] == list(STAGES)
    events = watcher.of(job_id)
    assert [event.state for event in events if event.state != "running"] == ["queued", "finished"]
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [stage for stage in STAGES if stage in {event.stage for event in events}] == list(STAGES)


def test_progress_is_reported_ten_times_a_second_at_most(watcher):
    job_id = watcher.submit("paint=sleep:2.0")
    watcher.final(job_id)
    # Ten in each of the two seconds and one when the stage begins; fewer if the machine is busy.
    assert 2 <= sum(event.stage == "paint" for event in watcher.of(job_id)) <= 22


def test_the_time_left_is_unknown_at_first_and_then_reported(watcher):
    job_id = watcher.submit(" ".join(f"{stage}=sleep:0.8" for stage in STAGES))
    watcher.final(job_id)
    running = [event for event in watcher.of(job_id) if event.stage]
    assert running[0].seconds_left is None
    # Three seconds have passed when the fifth stage begins. How close the estimate is: test_eta.py.
    assert any(event.stage == "bake" and (event.seconds_left or 0.0) > 0 for event in running)


def test_previews_reach_the_client_while_the_job_runs(watcher):
    job_id = watcher.submit("render=show:3 paint=sleep:0.2")
    watcher.final(job_id)
    previews = [event for event in watcher.of(job_id) if event.preview is not None]
    assert [(event.state, event.stage) for event in previews] == [("running", "render")]
    assert previews[0].preview.shape == (3, 4, 4, 3)
    assert (previews[0].preview == 7).all()


def test_output_that_libraries_print_goes_to_the_log_not_among_the_events(watcher):
    assert watcher.final(watcher.submit("render=chatter")).state == "finished"
    assert "a library prints\n" in (watcher.run_directory / "worker.log").read_text()


@pytest.mark.parametrize(
    ("stage", "action"),
    [
        *((stage, action) for stage in STAGES for action in ("sleep:300", "native:300")),
        ("paint", "deaf:300"),
        ("bake", "children"),
    ],
)
def test_a_job_is_cancelled_in_every_stage_whatever_it_does(watcher, stage, action):
    job_id = watcher.submit(f"{stage}={action}")
    watcher.until(job_id, "running", stage=stage)
    time.sleep(0.05)  # so that most find the stage in the middle of its action
    watcher.client.cancel(job_id)
    event = watcher.final(job_id)
    assert (event.state, event.error.code) == ("cancelled", "cancelled")


def test_a_cancelled_job_has_less_than_a_second_to_end_by_itself():
    assert supervisor.CANCEL_GRACE < 1.0


def test_processes_that_the_worker_started_die_with_it(watcher):
    job_id = watcher.submit("bake=children")
    marker = watcher.run_directory / "jobs" / job_id / "child.pid"
    pid = wait_for(lambda: marker.exists() and marker.read_text())
    watcher.client.cancel(job_id)
    assert watcher.final(job_id).state == "cancelled"
    wait_for(
        lambda: not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_in_any_stage_fails_the_job_and_the_next_job_works(watcher, stage):
    job_id = watcher.submit(f"{stage}=wait")
    watcher.until(job_id, "running", stage=stage)
    os.kill(watcher.worker_pid(), signal.SIGKILL)
    event = watcher.final(job_id)
    assert (event.state, event.error.code, event.error.fix) == ("failed", "worker_died", "retry")
    assert "killed" in event.error.message
    assert watcher.final(watcher.submit()).state == "finished"


@pytest.mark.parametrize(
    ("action", "code", "words"),
    [
        ("crash", "worker_died", "SIGSEGV"),
        ("crash:SIGABRT", "worker_died", "SIGABRT"),
        ("crash:40", "worker_died", "crashed (signal 40)"),  # a real-time signal has no name
        ("exit", "worker_died", "exit status 3"),
        ("error", "internal", "Painting failed unexpectedly (RuntimeError: nobody expected this)"),
        ("memory", "out_of_memory", "not enough memory"),
        ("full", "storage", "disk is full"),
        ("invalid", "invalid_mesh", "This mesh is a test."),
    ],
)
def test_a_job_that_fails_reports_why_and_the_next_job_works(watcher, action, code, words):
    event = watcher.final(watcher.submit(f"paint={action}"))
    assert (event.state, event.error.code) == ("failed", code)
    assert words in event.error.message
    assert watcher.final(watcher.submit()).state == "finished"


@pytest.mark.skipif(sys.platform != "linux", reason="how glibc keeps memory")
def test_an_idle_worker_gives_back_what_a_job_has_used(watcher):
    assert watcher.final(watcher.submit()).state == "finished"
    worker = psutil.Process(watcher.worker_pid())
    before = worker.memory_info().rss
    assert watcher.final(watcher.submit("paint=hoard:300")).state == "finished"
    wait_for(lambda: worker.memory_info().rss < before + 50 * 2**20, 10.0)


def test_an_unexpected_error_leaves_its_traceback_in_the_log(watcher):
    watcher.final(watcher.submit("paint=error"))
    assert "RuntimeError: nobody expected this" in (watcher.run_directory / "worker.log").read_text()


def test_a_cancelled_job_continues_with_its_unfinished_stage_when_retried(watcher):
    job_id = watcher.submit("bake=wait")
    watcher.until(job_id, "running", stage="bake")
    watcher.client.cancel(job_id)
    watcher.final(job_id)
    watcher.events.clear()
    (watcher.run_directory / "jobs" / job_id / "bake.done").touch()
    watcher.client.retry(job_id)
    event = watcher.final(job_id)
    assert event.state == "finished"
    assert event.result.report["ran"] == ["refine"]


def test_the_same_job_under_a_new_id_reuses_the_stages_of_a_cancelled_one(watcher):
    image = b"the same image"
    first = watcher.submit("bake=wait", reference=image)
    watcher.until(first, "running", stage="bake")
    watcher.client.cancel(first)
    watcher.final(first)
    assert watcher.final(watcher.submit(reference=image)).result.report["ran"] == ["bake", "refine"]
    assert watcher.final(watcher.submit(reference=b"another image")).result.report["ran"] == list(STAGES)


def test_jobs_run_in_the_order_of_arrival_and_a_queued_one_can_be_cancelled(watcher):
    first, second, third = watcher.submit("render=wait"), watcher.submit(), watcher.submit()
    watcher.client.cancel(second)
    assert watcher.final(second).state == "cancelled"
    assert not any(event.state.final for event in watcher.of(first))
    watcher.release(first, "render")
    assert watcher.final(third).state == "finished"
    order = [event.job for event in watcher.events if event.state == "finished"]
    assert order.index(first) < order.index(third)


def test_a_job_behind_another_does_not_report_that_the_worker_starts(watchers):
    watcher = watchers()
    watcher.submit()
    assert watcher.until(watcher.submit(), "queued").message == ""


def test_a_job_that_is_still_being_received_can_be_moved_to_the_front(watcher):
    running = watcher.submit("render=wait")
    watcher.until(running, "running", stage="render")
    second, third = watcher.submit(), watcher.submit()
    watcher.client.order([third])
    wait_for(lambda: order_of(watcher, second, third) == [third, second])
    watcher.release(running, "render")
    watcher.final(second)
    order = [event.job for event in watcher.events if event.state == "finished"]
    assert order.index(third) < order.index(second)


def test_a_queued_job_can_be_moved_to_the_front(watcher):
    running, second, third = watcher.submit("render=wait"), watcher.submit(), watcher.submit()
    for job_id in (second, third):
        watcher.until(job_id, "queued")
    watcher.client.order([third])
    wait_for(lambda: order_of(watcher, second, third) == [third, second])
    watcher.release(running, "render")
    watcher.final(second)
    order = [event.job for event in watcher.events if event.state == "finished"]
    assert order.index(running) < order.index(third) < order.index(second)


def test_an_order_moves_queued_jobs_and_ignores_running_and_unknown_ones(watcher):
    running = watcher.submit("render=wait")
    second, third, fourth = watcher.submit(), watcher.submit(), watcher.submit()
    watcher.until(running, "running", stage="render")
    for job_id in (second, third, fourth):
        watcher.until(job_id, "queued")
    watcher.client.order([fourth, running, "f" * 32, second])
    wait_for(lambda: order_of(watcher, second, third, fourth) == [fourth, second, third])
    watcher.release(running, "render")
    watcher.final(third)
    order = [event.job for event in watcher.events if event.state == "finished"]
    assert order[-4:] == [running, fourth, second, third]


def test_submitting_a_known_job_again_changes_nothing(watcher):
    job_id = watcher.submit("render=wait")
    watcher.until(job_id, "running", stage="render")
    watcher.submit("something else", job_id=job_id)
    watcher.release(job_id, "render")
    assert watcher.final(job_id).result.report["name"] == "render=wait"
    assert (watcher.run_directory / "jobs" / job_id / "ran.txt").read_text().split() == list(STAGES)


def test_a_discarded_job_leaves_no_files(watcher):
    done, running = watcher.submit(), watcher.submit("render=native:300")
    watcher.final(done)
    watcher.until(running, "running", stage="render")
    for job_id in (done, running):
        watcher.client.discard(job_id)
    wait_for(
        lambda: not any((watcher.run_directory / "jobs" / job_id).exists() for job_id in (done, running))
    )
    assert watcher.final(watcher.submit()).state == "finished"


@pytest.mark.parametrize("extra", [-64, 0, 64, api.wire.MAX_FRAME])
def test_a_reference_of_any_size_arrives_and_its_result_comes_back(watcher, extra):
    pixels = np.random.default_rng(0).integers(0, 256, api.wire.MAX_FRAME + extra, np.uint8).tobytes()
    event = watcher.final(watcher.submit("result=all", reference=pixels))
    assert bytes(event.result.textures["base_color"]) == pixels


def test_the_server_answers_pings_while_it_receives_a_job_of_200_megabytes(watcher):
    soup = triangle_soup(1_200_000)
    corners = soup.vertices.reshape(-1, 3, 3)
    mesh = dataclasses.replace(soup, corner_normals=corners, corner_uvs=corners[..., :2].copy())
    pixels = np.zeros((4096, 4096, 4), np.uint8)
    rounds, longest_fractions = [], []
    with contextlib.closing(Peer(api.connection.Connection.read(watcher.run_directory))) as peer:
        for _ in range(3):
            pixels[0, 0, 0] += 1
            submitted = time.perf_counter()
            job_id, waits = watcher.submit("quick", mesh, pixels.copy()), []
            while not any(event.state.final for event in watcher.of(job_id)):
                begun = time.perf_counter()
                assert peer.ask("ping", answer="pong")
                waits.append(time.perf_counter() - begun)
                time.sleep(0.002)
            assert watcher.final(job_id).state == "finished"
            longest_fractions.append(max(waits) / (time.perf_counter() - submitted))
            watcher.client.discard(job_id)
            rounds.append(waits)
    worst = [max(waits) for waits in rounds]
    print(
        f"\n{sum(map(len, rounds))} pings: median {np.median(np.concatenate(rounds)) * 1e3:.1f} ms, worst of "
        "each round " + ", ".join(f"{wait * 1e3:.0f}" for wait in worst) + " ms"
    )
    # A server that blocks does so in each round, for a good part of it; a busy machine only now and then.
    assert min(longest_fractions) < 0.1
