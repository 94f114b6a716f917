"""The device that models run on: chosen in the preferences, shown in the panel."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.preferences import _suggest_devices
from bl_ext.user_default.orbit_texture.addon.setup import devices
from bl_ext.user_default.orbit_texture.backend.api.devices import Device, save_devices
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

PROCESSOR = Device("cpu", "", 10_200_000_000, 23_000_000_000, cores=16)
GPUS = [Device(f"cuda:{index}", "NVIDIA H100", 29_100_000_000, 79_600_000_000) for index in range(2)]


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A computer in which the doctor has found two graphics cards."""
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    save_devices([PROCESSOR, *GPUS])
    devices.refresh()
    yield
    monkeypatch.undo()
    devices.refresh()


def preferences():
    return bpy.context.preferences.addons["bl_ext.user_default.orbit_texture"].preferences


def test_a_job_uses_the_device_of_the_preferences(two_gpus):
    assert bpy.context.scene.orbit_texture.to_settings().device == "auto"
    preferences().device = "cuda:1"
    assert bpy.context.scene.orbit_texture.to_settings().device == "cuda:1"
    bpy.context.scene.orbit_texture.from_settings(Settings(seed=3, device="cpu"))
    assert bpy.context.scene.orbit_texture.to_settings() == Settings(seed=3, device="cuda:1")
    preferences().device = " "
    assert bpy.context.scene.orbit_texture.to_settings().device == "auto"


def test_the_preferences_suggest_the_devices_that_the_doctor_found(two_gpus):
    suggested = dict(_suggest_devices(preferences(), bpy.context, ""))
    assert list(suggested) == ["auto", "cpu", "cuda:0", "cuda:1"]
    assert suggested["cpu"] == "CPU, 16 cores"
    assert suggested["cuda:1"] == "NVIDIA H100"


def test_device_auto_is_the_first_graphics_card_else_the_processor(two_gpus, tmp_path):
    assert devices.resolve("auto") == GPUS[0]
    assert devices.resolve("cuda:1") == GPUS[1]
    assert devices.resolve("cuda:2") is None
    save_devices([PROCESSOR])
    devices.refresh()
    assert devices.resolve("auto") == PROCESSOR


def test_a_device_is_described_with_its_used_and_total_memory():
    assert devices.describe_memory(PROCESSOR) == "CPU, 16 cores: 10.2 of 23.0 GB"
    assert devices.describe_memory(GPUS[0]) == "NVIDIA H100: 29.1 of 79.6 GB"
