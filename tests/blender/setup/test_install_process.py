"""The backend from inside Blender: installed, stopped, removed and checked by real processes of install.py,
and the reports about it."""

import getpass
import os
import time
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.operators.backend import (
    InstallBackend,
    RemoveBackend,
    _check_after_install,
)
from bl_ext.user_default.orbit_texture.addon.setup import (
    diagnostics,
    environment_state,
    install_process,
    weights,
)
from bl_ext.user_default.orbit_texture.addon.setup.environment_state import EnvironmentState
from bl_ext.user_default.orbit_texture.backend.api import paths
from bl_ext.user_default.orbit_texture.backend.api.weights import TRELLIS2


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder, and no package index."""
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    bpy.context.preferences.system.use_online_access = True
    environment_state.refresh()
    yield tmp_path
    install_process.shut_down()


def wait_until(condition=lambda: not install_process.busy()) -> install_process.InstallRun:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < 60, install_process.current().lines
        install_process.poll()
        time.sleep(0.05)
    return install_process.current()


def test_blender_without_online_access_installs_nothing(home):
    bpy.context.preferences.system.use_online_access = False
    assert not InstallBackend.poll(bpy.context)
    with pytest.raises(RuntimeError, match="Allow Online Access in the preferences"):
        bpy.ops.orbit_texture.install_backend()
    assert not install_process.busy()


def test_an_installation_can_be_stopped_and_reports_why_it_failed(home):
    bpy.ops.orbit_texture.install_backend(device="cpu")
    assert not InstallBackend.poll(bpy.context)
    wait_until(lambda: any(line.startswith("Creating") for line in install_process.current().lines))
    bpy.ops.orbit_texture.stop_setup()
    stopped = wait_until()
    assert stopped.status != 0
    assert "continue where it stopped" in stopped.reason
    bpy.ops.orbit_texture.install_backend(device="cpu")
    assert "The package index cannot be reached" in wait_until().reason
    assert environment_state.get() is EnvironmentState.UNFINISHED
    assert "complete" not in (home / "environment" / "orbit-texture.json").read_text()


def test_remove_backend_deletes_a_broken_environment_and_keeps_the_models(home):
    assert not RemoveBackend.poll(bpy.context)
    python = paths.environment_python(home / "environment")
    python.parent.mkdir(parents=True)
    python.write_text("broken")
    (home / "models").mkdir()
    environment_state.refresh()
    bpy.ops.orbit_texture.remove_backend()
    assert wait_until().status == 0
    assert environment_state.get() is EnvironmentState.ABSENT
    assert sorted(entry.name for entry in home.iterdir()) == ["models"]


def test_the_backend_cannot_be_installed_or_removed_while_a_job_runs(home):
    paths.environment_python(home / "environment").parent.mkdir(parents=True)
    paths.environment_python(home / "environment").touch()
    environment_state.refresh()
    assert RemoveBackend.poll(bpy.context)
    bpy.ops.orbit_texture.download_weights(model="trellis2")
    assert not RemoveBackend.poll(bpy.context)
    assert not InstallBackend.poll(bpy.context)


def test_the_doctor_reports_a_missing_backend_and_offers_the_install_button(home):
    bpy.ops.orbit_texture.doctor()
    assert wait_until().reason == ""
    found = {finding.name: finding for finding in diagnostics.findings()}
    assert found["Orbit Texture"].state == "ok"
    assert found["backend"].state == "problem"
    assert found["backend"].button == ("install_backend", {"anew": False, "device": "auto"})
    text = diagnostics.report_text()
    assert f"Blender {bpy.app.version_string}" in text
    assert "problem  backend" in text
    assert str(home) not in text


def test_a_successful_installation_is_followed_by_the_doctor(home, monkeypatch):
    monkeypatch.setattr(diagnostics, "_findings", [])
    install_process.start("Installing the backend", "backend", "--remove", on_end=_check_after_install)
    assert wait_until().title == "Checking the installation"
    assert diagnostics.findings()


@pytest.mark.parametrize(
    ("fix", "button"),
    [
        ("python3 '/it is/install.py' backend --anew", ("install_backend", {"anew": True, "device": "auto"})),
        (
            "Update the NVIDIA driver, then run: python3 install.py backend --torch cuda",
            ("install_backend", {"anew": False, "device": "cuda"}),
        ),
        ("Press Restart Worker in the add-on's preferences.", ("restart_worker", {})),
        ("Close other programs that use the GPU.", None),
    ],
)
def test_the_fix_of_a_finding_becomes_a_button_where_possible(fix, button):
    assert diagnostics.Finding("x", "problem", "", fix).button == button


def test_diagnostics_are_anonymous(home):
    user = getpass.getuser()
    text = diagnostics.anonymize(
        f"{Path.home() / 'pictures'}, {home / 'run'}, C:/Users/{user}/x, {paths.ROOT}, {user}name, "
        "http://jane:secret@proxy:80"
    )
    assert (
        text == f"{Path('~') / 'pictures'}, {Path('<Orbit Texture>') / 'run'}, C:/Users/<user>/x, <add-on>, "
        f"{user}name, http://proxy:80"
    )


def test_folders_come_from_the_environment_else_from_the_preferences(home, tmp_path, monkeypatch):
    chosen = bpy.context.preferences.addons["bl_ext.user_default.orbit_texture"].preferences
    default = tmp_path / "models"
    (tmp_path / "disk" / "trellis2").mkdir(parents=True)
    chosen.models = str(tmp_path / "disk")
    assert paths.models() == tmp_path / "disk"
    assert weights.is_installed(TRELLIS2)
    chosen.models = ""
    assert paths.models() == default
    assert not weights.is_installed(TRELLIS2)
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path / "given"))
    chosen.models = str(tmp_path / "disk")
    assert paths.models() == tmp_path / "given"
    chosen.home = str(tmp_path / "disk")
    assert paths.home() == Path(os.environ["ORBIT_TEXTURE_HOME"]) == home
    assert not queue.is_connected
