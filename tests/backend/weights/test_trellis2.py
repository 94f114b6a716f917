"""TRELLIS.2's weights, downloaded from a hub over real HTTP into a folder that opens."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from backend.api.errors import InvalidWeights
from backend.api.weights import DINOV3, TRELLIS2, TRELLIS2_FILES
from backend.refine.trellis2.model import Model
from backend.weights.install import check, copy_gated_files, install
from tests import tiny_trellis
from tests.hub import Hub

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    return tiny_trellis.repositories(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(repositories):
    with Hub({name: dict(files) for name, files in repositories.items()}) as hub:
        yield hub


def test_published_trellis2_files_become_a_folder_that_opens(hub, tmp_path):
    target = tmp_path / "trellis2"
    install(TRELLIS2, hub.make_manifest(TRELLIS2), target, lambda *report: None, **tiny_trellis.OPTIONS)
    check(TRELLIS2, target)
    model = Model(target, torch.device("cpu"))
    assert (model.card.shape, model.card.texture) == (tiny_trellis.SHAPE, tiny_trellis.TEXTURE)
    for name, network in tiny_trellis.networks().items():
        loaded = {
            "shape_encoder": partial(model.encoder, "shape"),
            "texture_encoder": partial(model.encoder, "texture"),
            "texture_decoder": model.decoder,
            "flow_512": partial(model.flow, 512),
            "flow_1024": partial(model.flow, 1024),
        }[name]()
        assert all(
            torch.equal(tensor.float(), network.state_dict()[key].float())
            for key, tensor in loaded.state_dict().items()
        )
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["trellis2"], "originals are left"


def test_files_of_a_gated_repository_may_come_from_a_folder(hub, tmp_path):
    target, own = tmp_path / "trellis2", tmp_path / "own"
    own.mkdir()
    manifest, files = hub.make_manifest(TRELLIS2), hub.repositories.pop(DINOV3.repository)
    (own / "config.json").write_bytes(files["config.json"])
    with pytest.raises(InvalidWeights, match=r"own has no file 'model\.safetensors' of facebook/dinov3"):
        copy_gated_files(TRELLIS2, own, target)
    (own / "model.safetensors").write_bytes(files["model.safetensors"])
    copy_gated_files(TRELLIS2, own, target)
    install(TRELLIS2, manifest, target, lambda *report: None, **tiny_trellis.OPTIONS)
    check(TRELLIS2, target)
    assert (own / "model.safetensors").exists()


def test_copied_gated_files_are_checked_by_their_hash(hub, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for path, data in hub.repositories[DINOV3.repository].items():
        (own / path).write_bytes(bytes(len(data)))
    copy_gated_files(TRELLIS2, own, tmp_path / "trellis2")
    with pytest.raises(InvalidWeights, match=r"config\.json is another file than it should be"):
        install(
            TRELLIS2,
            hub.make_manifest(TRELLIS2),
            tmp_path / "trellis2",
            lambda *report: None,
            **tiny_trellis.OPTIONS,
        )


def test_a_download_without_access_to_gated_files_says_what_to_do(hub, tmp_path):
    hub.gated.add(DINOV3.repository)
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "ORBIT_TEXTURE"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "backend", "download", "trellis2"],
        cwd=ROOT,
        text=True,
        timeout=120,
        input="yes\n",
        env=clean
        | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "ORBIT_TEXTURE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 1
    assert "Accept their terms on its page on huggingface.co" in done.stdout
    assert "--gated" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda published: published["args"].pop("tex_slat_normalization"), "does not hold the statistics"),
        (
            lambda published: published["args"]["tex_slat_normalization"]["std"].pop(),
            "latents of different sizes",
        ),
        (lambda published: published.pop("args"), "does not hold the statistics"),
    ],
)
def test_missing_latent_statistics_are_reported(hub, tmp_path, change, message):
    files = hub.repositories[TRELLIS2_FILES.repository]
    published = json.loads(files["texturing_pipeline.json"])
    change(published)
    files["texturing_pipeline.json"] = json.dumps(published).encode()
    with pytest.raises(InvalidWeights, match=message):
        install(
            TRELLIS2,
            hub.make_manifest(TRELLIS2),
            tmp_path / "trellis2",
            lambda *report: None,
            **tiny_trellis.OPTIONS,
        )
    assert not (tmp_path / "trellis2").exists()


def test_networks_of_other_sizes_than_the_published_ones_are_refused(hub, tmp_path):
    with pytest.raises(
        InvalidWeights, match=r"shape_encoder.safetensors: the tensor .* (is missing|has the shape)"
    ):
        install(TRELLIS2, hub.make_manifest(TRELLIS2), tmp_path / "trellis2", lambda *report: None)
    assert not (tmp_path / "trellis2").exists()


def test_a_missing_or_broken_model_card_is_reported(tmp_path):
    folder = tiny_trellis.write_model(tmp_path / "trellis2")
    (folder / "model.json").write_text("{}")
    with pytest.raises(InvalidWeights, match=r"model\.json cannot be read"):
        Model(folder, torch.device("cpu"))
    (folder / "model.json").unlink()
    with pytest.raises(InvalidWeights, match=r"TRELLIS\.2's weights are not in"):
        Model(folder, torch.device("cpu"))
