"""What networks work on: chosen by its name, told while it works, and remembered by the doctor for
Blender."""

import os

import numpy as np
import psutil
import pytest
import torch

from backend import device, doctor, pipeline, store
from backend.api import devices, memory_profiles
from backend.api.errors import InvalidSettings
from backend.paint.orbitpainter import painter
from backend.paint.orbitpainter.layouts import passes
from backend.paint.orbitpainter.model import Card
from tests.meshes import job, knot, mesh_data
from tests.servers import Watcher, api, end_server, new_id, triangle_soup


def picture() -> np.ndarray:
    return np.zeros((8, 8, 4), np.float32)


def test_a_device_goes_by_its_name_and_auto_is_a_card_if_there_is_one():
    assert device.device_called("cpu") == torch.device("cpu")
    assert (device.device_called("auto").type == "cuda") == torch.cuda.is_available()


@pytest.mark.parametrize(
    "settings", [{"painter": "orbitpainter"}, {"refine": True}, {"painter": "trellis2"}], ids=str
)
def test_a_device_that_is_not_there_is_refused_before_anything_is_done(tmp_path, settings):
    with pytest.raises(InvalidSettings, match=r"no device 'cuda:77'. It has: cpu.* Choose one of them"):
        pipeline.run(
            job(mesh_data(knot()), picture(), device="cuda:77", **settings),
            tmp_path,
            lambda stage, fraction: None,
        )
    assert not any(tmp_path.iterdir())


def test_what_one_device_has_finished_another_goes_on_with():
    mesh = mesh_data(knot())
    assert store.fingerprint(job(mesh, picture(), device="cpu")) == store.fingerprint(job(mesh, picture()))
    assert store.fingerprint(job(mesh, picture(), seed=1)) != store.fingerprint(job(mesh, picture()))


def test_the_processor_tells_its_cores_and_how_full_the_memory_is():
    processor = device.look_at(torch.device("cpu"))
    assert (processor.name, processor.cores, processor.total) == (
        "cpu",
        os.cpu_count(),
        psutil.virtual_memory().total,
    )
    assert processor.free == pytest.approx(psutil.virtual_memory().available / 1e9, rel=0.3)


def test_the_doctor_leaves_the_devices_for_blender(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path / "new"))
    assert devices.load_devices() == []
    assert [finding.name for finding in doctor._device()] == ["GPU"] * max(1, torch.cuda.device_count())
    assert [found.name for found in devices.load_devices()] == device.names()
    (tmp_path / "new" / "devices.json").write_text("[{}]")
    assert devices.load_devices() == []


def test_blender_reckons_with_the_films_that_the_painter_paints():
    card = Card()
    assert {painter.tokens(card, one) for one in passes(card.layout, card.frames)} == {memory_profiles.TOKENS}
    assert {
        name for name, sampling in painter.QUALITY.items() if sampling.skipped_below is not None
    } == memory_profiles.REMEMBERING


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_what_works_and_how_full_its_memory_is_comes_with_every_progress(tmp_path):
    watcher = Watcher(tmp_path / "run")
    try:
        for settings, name in (
            (api.settings.Settings(), "cpu"),
            (api.settings.Settings("orbitpainter", device="cpu"), "cpu"),
        ):
            id = new_id()
            watcher.client.submit(id, "paint=sleep:0.2", triangle_soup, b"picture" + id.encode(), settings)
            watcher.final(id)
            told = [event.device for event in watcher.of(id) if event.stage]
            assert told
            assert all(
                found.name == name and found.cores == os.cpu_count() and 0 < found.used < found.total
                for found in told
            )
    finally:
        watcher.close()
        end_server(tmp_path / "run")
