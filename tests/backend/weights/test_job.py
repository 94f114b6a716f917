"""The download of weights as a job of the server, with a real server, a real worker and a hub over real
HTTP."""

import contextlib
import os
import threading
import time

import psutil
import pytest

from backend.api.weights import ORBITPAINTER, WAN
from tests import tiny_model
from tests.hub import Hub
from tests.servers import Watcher, api, new_id, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

FIRST, SECOND = (f"text_encoder/model-0000{number}-of-00003.safetensors" for number in (1, 2))
MB = 1 << 20

PATIENCE = 300
"""Seconds until an event that is sure to come counts as missing, on the most loaded of machines."""


@pytest.fixture
def hub():
    repositories = {
        source.repository: {path: path.encode() for path in source.files} for source in ORBITPAINTER.sources
    }
    repositories[WAN.repository][FIRST] = bytes(12 * MB)
    with Hub(repositories) as hub:
        yield hub


@pytest.fixture
def watcher(hub, tmp_path, monkeypatch):
    for name, value in (
        ("HF_ENDPOINT", hub.url),
        ("HF_HOME", tmp_path / "hf"),
        ("ORBIT_TEXTURE_HOME", tmp_path),
        # A hub that sends nothing for a while is no broken connection.
        ("HF_HUB_DOWNLOAD_TIMEOUT", PATIENCE),
    ):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("ORBIT_TEXTURE_MODELS", raising=False)
    watcher = Watcher(tmp_path / "run")
    yield watcher
    watcher.close()
    if connection := api.connection.Connection.read(tmp_path / "run"):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(connection.pid).kill()


def download(watcher, painter="orbitpainter") -> str:
    job_id = new_id()
    watcher.client.download(job_id, painter)
    return job_id


def test_a_download_reports_progress_can_be_cancelled_and_resumes(hub, watcher, tmp_path):
    hub.stall[FIRST], hub.held[FIRST] = 11 * MB, threading.Event()
    job_id = download(watcher)
    partial = tmp_path / "models" / "orbitpainter.download" / WAN.repository / f"{FIRST}.part"
    # The worker drops a report within 0.1 s of the last one. Nothing is reported while the file is held, so
    # the one that follows is sent.
    wait_for(lambda: hub.gets(FIRST), PATIENCE)
    time.sleep(1)
    hub.held.pop(FIRST).set()
    wait_for(lambda: partial.exists() and partial.stat().st_size == 10 * MB, PATIENCE)
    wait_for(
        lambda: any(event.stage == "download" and event.fraction > 0.7 for event in watcher.of(job_id)),
        PATIENCE,
    )
    watcher.client.cancel(job_id)
    assert watcher.final(job_id, seconds=PATIENCE).state == "cancelled"
    assert partial.stat().st_size == 10 * MB

    # The next download requests the rest only, and names a file that is missing on the server by now.
    del hub.stall[FIRST]
    del hub.repositories[WAN.repository][SECOND]
    hub.seen.clear()
    again = watcher.final(download(watcher), seconds=PATIENCE)
    assert hub.gets(FIRST)[-1] == f"bytes={10 * MB}-"
    assert again.state == "failed"
    assert f"{WAN.repository}/{SECOND} cannot be downloaded (the server answers 404)" in again.error.message
    assert not [path for _, path, _, _ in hub.seen if path.startswith("/api/")]


def test_installed_weights_are_not_downloaded_again_nor_block_other_jobs(hub, watcher, tmp_path):
    tiny_model.write_model(tmp_path / "models" / "orbitpainter")
    done = watcher.final(download(watcher), seconds=PATIENCE)
    assert done.state == "finished", done.error
    assert done.result.report == {"model": "orbitpainter"}
    assert not hub.seen
    assert watcher.final(watcher.submit("quick"), seconds=PATIENCE).state == "finished"


def test_a_download_for_a_painter_without_weights_is_refused(watcher):
    refused = watcher.final(download(watcher, "draft"), seconds=PATIENCE)
    assert refused.error.message == "There are no weights for 'draft'."
