"""The device of the networks: chosen by its name, reported in progress events, saved by the doctor for
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
from backend.paint.orbitpainter.layouts import plan_passes
from backend.paint.orbitpainter.model import ModelCard
from tests.meshes import job, knot, mesh_data
from tests.servers import JobRequest, Watcher, api, end_server, new_id, triangle_soup


def blank_image() -> np.ndarray:
    return np.zeros((8, 8, 4), np.float32)


def test_find_device_takes_a_name_and_auto_prefers_a_gpu():
    assert device.find_device("cpu") == torch.device("cpu")
    assert (device.find_device("auto").type == "cuda") == torch.cuda.is_available()


@pytest.mark.parametrize(
    "settings", [{"painter": "orbitpainter"}, {"refine": True}, {"painter": "trellis2"}], ids=str
)
def test_a_missing_device_is_refused_before_any_stage(tmp_path, settings):
    with pytest.raises(InvalidSettings, match=r"no device 'cuda:77'. It has: cpu.* Choose one of them"):
        pipeline.run(
            job(mesh_data(knot()), blank_image(), device="cuda:77", **settings),
            tmp_path,
            lambda stage, fraction: None,
        )
    assert not any(tmp_path.iterdir())


def test_a_job_resumes_on_another_device():
    mesh = mesh_data(knot())
    assert store.fingerprint(job(mesh, blank_image(), device="cpu")) == store.fingerprint(
        job(mesh, blank_image())
    )
    assert store.fingerprint(job(mesh, blank_image(), seed=1)) != store.fingerprint(job(mesh, blank_image()))


def test_query_device_reports_the_cpus_cores_and_memory(monkeypatch):
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    processor = device.query_device(torch.device("cpu"))
    assert (processor.name, processor.cores, processor.total) == (
        "cpu",
        os.cpu_count(),
        memory.total,
    )
    assert processor.free == pytest.approx(memory.available / 1e9)


def test_the_doctor_saves_the_devices_for_blender(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path / "new"))
    assert devices.load_devices() == []
    assert [finding.name for finding in doctor._device()] == ["GPU"] * max(1, torch.cuda.device_count())
    assert [found.name for found in devices.load_devices()] == device.device_names()
    (tmp_path / "new" / "devices.json").write_text("[{}]")
    assert devices.load_devices() == []


def test_the_addon_estimates_the_clips_that_the_painter_paints():
    card = ModelCard()
    passes = plan_passes(card.layout, card.frames)
    assert {painter.count_tokens(card, each) for each in passes} == {memory_profiles.PUBLISHED_TOKENS}
    assert {
        name for name, sampling in painter.QUALITY_PRESETS.items() if sampling.caches_blocks
    } == memory_profiles.FIRST_BLOCK_CACHE_QUALITIES


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_every_progress_event_carries_the_device_and_its_memory(tmp_path):
    watcher = Watcher(tmp_path / "run")
    try:
        for settings, name in (
            (api.settings.Settings(), "cpu"),
            (api.settings.Settings("orbitpainter", device="cpu"), "cpu"),
        ):
            job_id = new_id()
            watcher.client.submit(
                JobRequest(job_id, "paint=sleep:0.2", triangle_soup, b"picture" + job_id.encode(), settings)
            )
            watcher.final(job_id, seconds=300)
            devices_seen = [event.device for event in watcher.of(job_id) if event.stage]
            assert devices_seen
            assert all(
                found.name == name and found.cores == os.cpu_count() and 0 < found.used < found.total
                for found in devices_seen
            )
    finally:
        watcher.close()
        end_server(tmp_path / "run")
