"""BiRefNet's graph, downloaded from a hub over real HTTP into a folder that opens."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.api.errors import InvalidWeights
from backend.api.weights import BIREFNET, BIREFNET_FILE, BIREFNET_GRAPH, MODELS, find_weights, format_size
from backend.paint.matting import MATTING_MODELS, load_matting
from backend.weights.install import check, install
from backend.weights.manifest import Manifest, RemoteFile
from tests.hub import Hub
from tests.tiny_matting import make_graph

ROOT = Path(__file__).resolve().parents[3]

REPOSITORY = BIREFNET_GRAPH.repository


def manifest_of(hub: Hub) -> Manifest:
    """The manifest of what the hub serves, at a plain address."""
    data = hub.repositories[REPOSITORY][BIREFNET_FILE]
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    address = f"{hub.url}/plain/{REPOSITORY}"
    return Manifest((RemoteFile(REPOSITORY, BIREFNET_FILE, len(data), digest, address=address),), {})


@pytest.fixture
def hub():
    with Hub({REPOSITORY: {BIREFNET_FILE: make_graph()}}) as hub:
        yield hub


def run_command(hub, home: Path, *options: str, answer: str = "") -> subprocess.CompletedProcess:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "ORBIT_TEXTURE"))
    }
    return subprocess.run(
        [sys.executable, "-m", "backend", "download", "birefnet", *options],
        cwd=ROOT,
        env=clean | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "ORBIT_TEXTURE_HOME": str(home)},
        input=answer,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )


def test_size_and_licence_are_shown_before_anything_is_fetched(hub, tmp_path):
    done = run_command(hub, tmp_path, answer="no\n")
    assert done.returncode == 1
    size = format_size(len(hub.repositories[REPOSITORY][BIREFNET_FILE]))
    assert f"{REPOSITORY:40} {size:>9}  mit\n" in done.stdout
    assert "MIT: free for any use" in done.stdout
    assert "Nothing was downloaded." in done.stdout
    assert all(path.startswith("/api/models/") for _, path, _, _ in hub.seen)


def test_another_graph_than_the_pinned_one_is_not_installed(hub, tmp_path):
    done = run_command(hub, tmp_path, "--yes")
    assert done.returncode == 1
    assert f"{BIREFNET_FILE} is another file than it should be" in done.stdout
    assert not (tmp_path / "models" / "birefnet").exists()


def test_the_graph_becomes_a_folder_that_opens(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path / "models"))
    target = tmp_path / "models" / "birefnet"
    assert find_weights(BIREFNET) is None
    install(BIREFNET, manifest_of(hub), target, lambda *report: None)
    check(BIREFNET, target)
    assert load_matting(target, MATTING_MODELS[BIREFNET.name]).get_inputs()[0].shape == [1, 3, 1024, 1024]
    assert find_weights(BIREFNET) == target
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["birefnet"]


def test_a_graph_that_does_not_open_is_not_installed(hub, tmp_path):
    hub.repositories[REPOSITORY][BIREFNET_FILE] = b"no graph"
    with pytest.raises(InvalidWeights, match="is not an ONNX graph"):
        install(BIREFNET, manifest_of(hub), tmp_path / "birefnet", lambda *report: None)
    assert not (tmp_path / "birefnet").exists()


def test_every_model_says_what_it_is_for_its_size_and_its_licence():
    for name, spec in MODELS.items():
        assert (spec.name, bool(spec.purpose)) == (name, True)
        assert spec.size > 0
        assert 0 < spec.installed_size < spec.peak
        assert all(source.license and source.terms and source.files for source in spec.sources)
    assert BIREFNET.size == sum(BIREFNET_GRAPH.files.values()) < 0.3e9
    assert all(path in BIREFNET_GRAPH.sha256 for path in BIREFNET_GRAPH.files)
