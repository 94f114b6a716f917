"""The suite has two halves: ``tests/blender`` runs in a Python with bpy, everything else in the backend's environment."""

import contextlib
import importlib.util

import pytest

HAS_BPY = importlib.util.find_spec("bpy") is not None

collect_ignore_glob = ["test_*.py"] if HAS_BPY else ["blender/*"]


@pytest.fixture
def run(tmp_path):
    """A run directory of the test's own."""
    return tmp_path / "run"


@pytest.fixture
def watchers(run):
    """Makes clients of the test's own run directory."""
    from servers import Watcher, end_server  # which bpy's half of the suite has no use for

    with contextlib.ExitStack() as stack:
        def make(*options: str, **changes) -> Watcher:
            watcher = Watcher(run, *options, **changes)
            stack.callback(watcher.close)
            return watcher
        yield make
    end_server(run)
