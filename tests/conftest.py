"""The suite has two halves: ``tests/blender`` runs in a Python with bpy, everything else in the backend's
environment."""

import contextlib
import importlib.util
import os
import subprocess
import sys
import time

import pytest

# Set before numpy and torch are imported, and inherited by every worker: on small arrays their threads
# wait for each other longer than they compute, above all beside the backend's own and other programs.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

HAS_BPY = importlib.util.find_spec("bpy") is not None

collect_ignore = ["addon", "backend", "gui", "installer", "reliability"] if HAS_BPY else ["blender"]


@pytest.fixture(scope="module")
def quick_draft():
    """The module's jobs make quick drafts: it is about other stages."""
    from tests.drafts import quick_drafts

    with quick_drafts():
        yield


@pytest.fixture
def run(tmp_path):
    """A run directory for this test alone."""
    return tmp_path / "run"


@pytest.fixture
def watchers(run):
    """Makes clients of this test's run directory."""
    # Imported here, since the half of the suite that runs in Blender does not need it.
    from tests.servers import Watcher, end_server

    with contextlib.ExitStack() as stack:

        def make(*options: str, **changes) -> Watcher:
            watcher = Watcher(run, *options, **changes)
            stack.callback(watcher.close)
            return watcher

        yield make
    end_server(run)


@pytest.fixture
def disk(tmp_path):
    """Mounts small disks, since a superuser can write into a read-only folder but not onto a read-only or
    full disk."""
    made = []

    def make(options: str):
        place = tmp_path / f"disk_{len(made)}"
        place.mkdir()
        if (
            sys.platform != "linux"
            or os.geteuid() != 0
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True
            ).returncode
        ):
            pytest.skip("needs a superuser who may mount")
        made.append(place)
        return place

    yield make
    for place in made:
        # A process that was just killed may still hold a file.
        until = time.monotonic() + 30
        while (
            subprocess.run(["umount", str(place)], capture_output=True).returncode
            and time.monotonic() < until
        ):
            time.sleep(0.1)
