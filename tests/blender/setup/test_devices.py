"""What a model works on: chosen in the preferences, and told in the panel."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.preferences import _search_devices
from bl_ext.user_default.orbit_texture.addon.setup import devices
from bl_ext.user_default.orbit_texture.backend.api.devices import Device, save_devices
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

PROCESSOR = Device("cpu", "", 10_200_000_000, 23_000_000_000, cores=16)
CARDS = [Device(f"cuda:{index}", "NVIDIA H100", 29_100_000_000, 79_600_000_000) for index in range(2)]


@pytest.fixture
def two_cards(tmp_path, monkeypatch):
    """A computer in which the doctor has found two cards."""
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    save_devices([PROCESSOR, *CARDS])
    devices.look()
    yield
    monkeypatch.undo()
    devices.look()


def page():
    return bpy.context.preferences.addons["bl_ext.user_default.orbit_texture"].preferences


def test_a_job_gets_the_device_of_the_preferences(two_cards):
    assert bpy.context.scene.orbit_texture.to_settings().device == "auto"
    page().device = "cuda:1"
    assert bpy.context.scene.orbit_texture.to_settings().device == "cuda:1"
    bpy.context.scene.orbit_texture.from_settings(Settings(seed=3, device="cpu"))
    assert bpy.context.scene.orbit_texture.to_settings() == Settings(seed=3, device="cuda:1")
    page().device = " "
    assert bpy.context.scene.orbit_texture.to_settings().device == "auto"


def test_the_preferences_offer_what_the_doctor_has_found(two_cards):
    offered = dict(_search_devices(page(), bpy.context, ""))
    assert list(offered) == ["auto", "cpu", "cuda:0", "cuda:1"]
    assert offered["cpu"] == "CPU, 16 cores"
    assert offered["cuda:1"] == "NVIDIA H100"


def test_auto_means_the_first_card_and_without_cards_the_processor(two_cards, tmp_path):
    assert devices.meant("auto") == CARDS[0]
    assert devices.meant("cuda:1") == CARDS[1]
    assert devices.meant("cuda:2") is None
    save_devices([PROCESSOR])
    devices.look()
    assert devices.meant("auto") == PROCESSOR


def test_what_works_is_told_with_how_full_its_memory_is():
    assert devices.fullness(PROCESSOR) == "CPU, 16 cores: 10.2 of 23.0 GB"
    assert devices.fullness(CARDS[0]) == "NVIDIA H100: 29.1 of 79.6 GB"
