"""The download of weights as a job of the server, beside those with a mesh: real server, real worker, a real
hub."""

import contextlib
import os

import psutil
import pytest

from backend.api.weights import ORBITPAINTER, WAN
from tests import tiny_model
from tests.hub import Hub
from tests.servers import Watcher, api, new_id, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

FIRST, SECOND = (f"text_encoder/model-0000{number}-of-00003.safetensors" for number in (1, 2))
MB = 1 << 20


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
    id = new_id()
    watcher.client.download(id, painter)
    return id


def test_a_download_tells_its_progress_can_be_cancelled_and_goes_on_where_it_ended(hub, watcher, tmp_path):
    hub.stall[FIRST] = 11 * MB
    id = download(watcher)
    part = tmp_path / "models" / "orbitpainter.download" / WAN.repository / f"{FIRST}.part"
    wait_for(lambda: part.exists() and part.stat().st_size == 10 * MB, 40)
    wait_for(lambda: any(event.stage == "download" and event.fraction > 0.7 for event in watcher.of(id)))
    watcher.client.cancel(id)
    watcher.until(id, "cancelled", seconds=5)
    assert part.stat().st_size == 10 * MB

    # The next one asks for the rest only; and what the server has lost meanwhile is named.
    del hub.stall[FIRST]
    del hub.repositories[WAN.repository][SECOND]
    hub.seen.clear()
    again = watcher.final(download(watcher))
    assert hub.gets(FIRST)[-1] == f"bytes={10 * MB}-"
    assert again.state == "failed"
    assert f"{WAN.repository}/{SECOND} cannot be downloaded (the server answers 404)" in again.error.message
    assert not [path for _, path, _, _ in hub.seen if path.startswith("/api/")]


def test_weights_that_are_there_are_not_downloaded_again_and_the_server_does_other_jobs_afterwards(
    hub, watcher, tmp_path
):
    tiny_model.write_model(tmp_path / "models" / "orbitpainter")
    done = watcher.final(download(watcher), seconds=90)
    assert done.state == "finished", done.error
    assert done.result.report == {"model": "orbitpainter"}
    assert not hub.seen
    assert watcher.final(watcher.submit("quick")).state == "finished"


def test_weights_of_what_has_none_are_refused(watcher):
    refused = watcher.final(download(watcher, "draft"))
    assert refused.error.message == "There are no weights for 'draft'."
