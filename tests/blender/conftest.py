"""Runs the tests inside bpy, with the checkout installed as the extension
``bl_ext.user_default.orbit_texture``.

``BACKEND_PYTHON`` names the interpreter of the backend's environment; without it the tests that need a worker
are skipped.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = "bl_ext.user_default.orbit_texture"

_scratch = Path(tempfile.mkdtemp(prefix="orbit-texture-tests-"))
_backend_python = os.environ.get("BACKEND_PYTHON", "")
os.environ["BLENDER_USER_RESOURCES"] = str(_scratch / "blender")
os.environ["ORBIT_TEXTURE_HOME"] = str(_scratch / "home")
os.environ["TMPDIR"] = str(_scratch)  # Blender's temporary folders go with ours

extensions = _scratch / "blender" / "extensions" / "user_default"
extensions.mkdir(parents=True)
(extensions / "orbit_texture").symlink_to(ROOT, target_is_directory=True)
(_scratch / "home").mkdir()
if _backend_python:
    (_scratch / "home" / "environment").symlink_to(Path(_backend_python).parents[1], target_is_directory=True)

import bpy  # noqa: E402, I001 (bpy makes addon_utils importable)
import addon_utils  # noqa: E402

if addon_utils.enable(EXTENSION, default_set=True) is None:
    pytest.exit("The extension could not be enabled, see above.", returncode=1)

needs_worker = pytest.mark.skipif(not _backend_python, reason="BACKEND_PYTHON is not set")


def pytest_configure(config):
    config.addinivalue_line("markers", "worker: needs the backend's environment (BACKEND_PYTHON)")
    config.addinivalue_line(
        "markers", "every_blender: runs in every supported Blender, not only in the newest 5.0"
    )


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("worker"):
            item.add_marker(needs_worker)


@pytest.fixture(scope="module")
def graphics(tmp_path_factory):
    """Renders something, since Blender without a window can draw only after that."""
    render = bpy.context.scene.render
    render.engine, render.resolution_x, render.resolution_y = "BLENDER_WORKBENCH", 8, 8
    bpy.context.scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    render.filepath = str(tmp_path_factory.mktemp("render") / "render.png")
    bpy.ops.render.render(write_still=True)


@pytest.fixture(autouse=True)
def empty_file():
    """Every test starts in an empty file with an empty queue."""
    from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue

    bpy.ops.wm.read_factory_settings(use_empty=True)
    # Factory settings disable extensions too.
    addon_utils.enable(EXTENSION, default_set=True)
    queue.entries.clear()
    yield
    queue.close()


@pytest.fixture(scope="session")
def _scripted_server():
    """``(home, process)`` of a real server whose worker runs ``tests/pipelines/scripted.py``."""
    home = _scratch / "scripted"
    home.mkdir()
    (home / "environment").symlink_to(Path(_backend_python).parents[1], target_is_directory=True)
    server = subprocess.Popen(
        [
            _backend_python,
            "-m",
            "backend",
            "serve",
            "--run-dir",
            str(home / "run"),
            "--pipeline",
            "tests.pipelines.scripted:run",
            # The tests between two that need it may take long on a busy machine.
            "--idle-seconds",
            "7200",
        ],
        cwd=ROOT,
    )
    deadline = time.monotonic() + 20
    while not (home / "run" / "connection.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield home, server
    server.terminate()
    server.wait(20)


@pytest.fixture
def scripted_worker(_scripted_server, monkeypatch):
    """Connects the queue to a worker that runs the script in an object's name."""
    home, server = _scripted_server
    assert server.poll() is None
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(home))


@pytest.fixture
def own_server(tmp_path, monkeypatch):
    """A home folder for one test, and thus a server of its own, which cannot reach the download server."""
    from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
    from bl_ext.user_default.orbit_texture.backend.api import connection, paths

    (tmp_path / "environment").symlink_to(Path(_backend_python).parents[1], target_is_directory=True)
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    yield
    queue.close()
    if server := connection.Connection.read(paths.run_directory()):
        os.kill(server.pid, signal.SIGTERM)


def pytest_sessionfinish(session, exitstatus):
    session.config.stash[_STATUS] = int(exitstatus)


_STATUS = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """bpy 4.2 crashes and 4.5 hangs at the interpreter's exit while an extension is registered."""
    from bl_ext.user_default.orbit_texture.backend.api import connection, paths

    if server := connection.Connection.read(paths.run_directory()):
        os.kill(server.pid, signal.SIGTERM)
    addon_utils.disable(EXTENSION)
    shutil.rmtree(_scratch, ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash.get(_STATUS, 1))
