"""Download Weights: what the panel shows, when it may be pressed, and how a download ends."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.operators.download_weights import DownloadWeights
from bl_ext.user_default.orbit_texture.addon.setup import weights
from bl_ext.user_default.orbit_texture.backend.api import paths
from bl_ext.user_default.orbit_texture.backend.api.weights import BIREFNET, ORBITPAINTER, TRELLIS2

from tests.blender import make


@pytest.fixture
def online():
    bpy.context.preferences.system.use_online_access = True
    assert bpy.app.online_access


def test_installed_weights_are_looked_up_when_the_painter_is_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    settings = bpy.context.scene.orbit_texture
    settings.painter = "orbitpainter"
    assert weights.missing(settings.to_settings()) == [ORBITPAINTER]
    (tmp_path / "orbitpainter.download").mkdir()
    settings.painter = "orbitpainter"
    assert weights.missing(settings.to_settings()) == [ORBITPAINTER]
    (tmp_path / "orbitpainter").mkdir()
    settings.refine = True
    assert weights.missing(settings.to_settings()) == [TRELLIS2]
    (tmp_path / "trellis2").mkdir()
    settings.painter = "trellis2"
    assert not weights.missing(settings.to_settings())


def test_no_setting_asks_for_the_matting_model(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    for painter in ("draft", "orbitpainter", "trellis2"):
        bpy.context.scene.orbit_texture.painter = painter
        assert BIREFNET not in weights.missing(bpy.context.scene.orbit_texture.to_settings())
    assert not weights.is_installed(BIREFNET)
    (tmp_path / "birefnet").mkdir()
    weights.refresh()
    assert weights.is_installed(BIREFNET)


def test_blender_without_online_access_downloads_nothing():
    bpy.context.preferences.system.use_online_access = False
    assert not DownloadWeights.poll(bpy.context)
    with pytest.raises(RuntimeError, match="Allow Online Access in the preferences"):
        bpy.ops.orbit_texture.download_weights()
    assert not queue.entries


@pytest.mark.worker
def test_a_failed_download_reports_the_reason_and_can_be_started_again(online, own_server):
    for model, title in (
        ("orbitpainter", "OrbitPainter"),
        ("trellis2", "TRELLIS.2"),
        ("birefnet", "BiRefNet"),
        ("birefnet", "BiRefNet"),
    ):
        bpy.ops.orbit_texture.download_weights(model=model)
        assert not DownloadWeights.poll(bpy.context)
        make.poll_until_settled(queue)
        entry = queue.entries[-1]
        assert (entry.name, entry.download) == (f"{title}'s weights", model)
        assert "cannot be downloaded (ConnectError" in entry.error.message
    assert not paths.models().exists()
    assert [entry.download for entry in queue.entries] == ["orbitpainter", "trellis2", "birefnet"]
    for entry in list(queue.entries):
        bpy.ops.orbit_texture.dismiss(job=entry.job)
    assert not queue.entries
