"""The real pipeline in the service: its stages are native code, which does not check for a cancellation."""

import contextlib
import io
import os
import signal
import time

import numpy as np
import psutil
import pytest
import trimesh
from PIL import Image, ImageDraw

from tests.servers import JobRequest, Watcher, api, new_id

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

REAL_STAGES = ("prepare", "register", "render", "paint", "align", "bake")


@pytest.fixture
def watcher(tmp_path):
    with contextlib.closing(Watcher(tmp_path / "run", "--idle-seconds", "60")) as watcher:
        yield watcher
    psutil.Process(api.connection.Connection.read(tmp_path / "run").pid).kill()


def torus():
    mesh = trimesh.creation.torus(1.0, 0.4, major_sections=60, minor_sections=40)
    return api.job.MeshData(mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))


def ball():
    mesh = trimesh.creation.icosphere(3)
    return api.job.MeshData(mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))


def disc() -> bytes:
    """A PNG of the ball, from wherever."""
    image = Image.new("RGBA", (256, 256))
    ImageDraw.Draw(image).ellipse((40, 40, 216, 216), (200, 80, 30, 255))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def ring() -> bytes:
    """A PNG of the torus from above."""
    image = Image.new("RGBA", (256, 256))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 236, 236), (200, 80, 30, 255))
    draw.ellipse((82, 82, 174, 174), (0, 0, 0, 0))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_job_continues_after_a_cancellation_and_a_kill_in_every_real_stage(watcher):
    # A large texture, so that even the last stage is still running when the test has heard that it began.
    job_id, settings = new_id(), api.settings.Settings(texture_size=4096, voxel_resolution=128)
    folder = watcher.run_directory / "jobs" / job_id
    watcher.client.submit(JobRequest(job_id, "torus", torus, ring(), settings))
    finished, waits = {}, {}
    for stage in REAL_STAGES:
        watcher.until(job_id, "running", stage=stage)
        finished |= {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}

        # A cancellation.
        begun = time.monotonic()
        watcher.client.cancel(job_id)
        assert watcher.final(job_id).state == "cancelled"
        waits[stage] = time.monotonic() - begun
        watcher.events.clear()
        watcher.client.retry(job_id)
        watcher.until(job_id, "running", stage=stage)

        # A killed worker.
        os.kill(watcher.worker_pid(), signal.SIGKILL)
        event = watcher.final(job_id)
        assert (event.state, event.error.code) == ("failed", "worker_died")
        watcher.events.clear()
        watcher.client.retry(job_id)

        # A killed server, which takes its worker with it.
        if stage in ("prepare", "paint"):
            watcher.until(job_id, "running", stage=stage)
            watcher.events.clear()
            os.kill(api.connection.Connection.read(watcher.run_directory).pid, signal.SIGKILL)
    # The result is whole, and no finished stage was repeated.
    event = watcher.final(job_id)
    print("\ncancelled after " + ", ".join(f"{wait:.2f} s in {stage}" for stage, wait in waits.items()))
    assert event.state == "finished"
    assert len(event.result.corner_uvs) == len(torus().faces)
    assert bytes(event.result.textures["base_color"]).startswith(b"\x89PNG")
    assert {name: (folder / name).stat().st_mtime_ns for name in finished} == finished, (
        "a finished stage was repeated"
    )
    assert set(finished) == {"prepare.npz", "register.npz", "render.npz", "paint.npz", "align.npz"}


def test_a_texture_reuses_the_stages_of_its_check(watcher):
    settings, jobs = api.settings.Settings(texture_size=1024), watcher.run_directory / "jobs"
    check, texture = new_id(), new_id()
    watcher.client.submit(JobRequest(check, "torus", torus, ring(), settings, check_reference=True))
    result = watcher.final(check).result
    assert set(result.report["seconds"]) == {"register"}
    mask = np.asarray(Image.open(io.BytesIO(bytes(result.textures["mask"]))))
    np.testing.assert_array_equal(mask > 127, np.asarray(Image.open(io.BytesIO(ring())))[..., 3] > 127)
    for number in range(len(result.report["candidates"])):
        candidate = Image.open(io.BytesIO(bytes(result.textures[f"candidate.{number}"])))
        assert (candidate.mode, candidate.size) == ("RGBA", (256, 256))
    watcher.client.submit(JobRequest(texture, "torus", torus, ring(), settings))
    watcher.until(texture, "running", stage="render")
    registered = [(jobs / job / "register.npz").read_bytes() for job in (check, texture)]
    assert registered[0] == registered[1]


def test_a_worker_stops_at_a_doubtful_view(watcher):
    job_id, settings = new_id(), api.settings.Settings(texture_size=1024, on_doubt="stop")
    watcher.client.submit(JobRequest(job_id, "ball", ball, disc(), settings))
    error = watcher.final(job_id).error
    assert isinstance(error, api.errors.DoubtfulView)
    assert error.candidates
