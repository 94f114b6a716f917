"""The real pipeline under the service: its stages are native code, which does not listen."""

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

from tests.servers import Watcher, api, new_id

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

STAGES = ("prepare", "render", "paint", "align", "bake")


@pytest.fixture
def watcher(tmp_path):
    with contextlib.closing(Watcher(tmp_path / "run", "--idle-seconds", "60")) as watcher:
        yield watcher
    psutil.Process(api.connection.Connection.read(tmp_path / "run").pid).kill()


def torus():
    mesh = trimesh.creation.torus(1.0, 0.4, major_sections=60, minor_sections=40)
    return api.job.MeshData(mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))


def ring() -> bytes:
    """A PNG of the torus from above."""
    image = Image.new("RGBA", (256, 256))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 236, 236), (200, 80, 30, 255))
    draw.ellipse((82, 82, 174, 174), (0, 0, 0, 0))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_in_every_real_stage_a_job_can_be_cancelled_and_its_worker_killed_and_it_goes_on(watcher):
    job_id, settings = new_id(), api.settings.Settings(texture_size=1024, voxel_resolution=128)
    folder = watcher.run_directory / "jobs" / job_id
    watcher.client.submit(job_id, "torus", torus, ring(), settings)
    finished, waits = {}, {}
    for stage in STAGES:
        watcher.until(job_id, "running", stage=stage, seconds=60)
        finished |= {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}

        begun = time.monotonic()
        watcher.client.cancel(job_id)
        assert watcher.final(job_id).state == "cancelled"
        waits[stage] = time.monotonic() - begun
        assert waits[stage] < 1.0
        watcher.events.clear()
        watcher.client.retry(job_id)
        watcher.until(job_id, "running", stage=stage)

        os.kill(watcher.worker_pid(), signal.SIGKILL)
        event = watcher.final(job_id)
        assert (event.state, event.error.code) == ("failed", "worker_died")
        watcher.events.clear()
        watcher.client.retry(job_id)

        if stage in ("prepare", "paint"):
            watcher.until(job_id, "running", stage=stage)
            watcher.events.clear()
            os.kill(api.connection.Connection.read(watcher.run_directory).pid, signal.SIGKILL)
    event = watcher.final(job_id, seconds=120)
    print("\ncancelled after " + ", ".join(f"{wait:.2f} s in {stage}" for stage, wait in waits.items()))
    assert event.state == "finished"
    assert len(event.result.corner_uvs) == len(torus().faces)
    assert bytes(event.result.textures["base_color"]).startswith(b"\x89PNG")
    assert {name: (folder / name).stat().st_mtime_ns for name in finished} == finished, (
        "a finished stage was done again"
    )
    assert set(finished) == {"prepare.npz", "render.npz", "paint.npz", "align.npz"}
