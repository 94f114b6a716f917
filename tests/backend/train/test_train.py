"""Training OrbitPainter: what is learnt, and when; a tiny network learns one mesh and paints it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file, save_file

from backend import __main__ as command_line
from backend.api.errors import InvalidSettings, StorageError
from backend.api.settings import Settings
from backend.mesh.files import read_textured
from backend.mesh.prepare import clean
from backend.paint.orbitpainter import agx, cameras, network, painter
from backend.paint.orbitpainter.convert import convert_expert, convert_model
from backend.paint.orbitpainter.model import PROMPTS, Card, Model
from backend.paint.orbitpainter.network import condition, decode, encode, velocity
from backend.paint.orbitpainter.sampler import EXPERTS, Sampling
from backend.paint.preview import ignore_preview
from backend.paint.reference import Reference
from backend.render.photograph import photograph, wearing
from backend.render.rasterize import render
from backend.train import checkpoints
from backend.train.examples import examples
from backend.train.expert import open_expert
from backend.train.objective import moments
from backend.train.train import Recipe, step_loss, train
from tests import lessons, mosaic, naive_wan, tiny_model
from tests.lessons import COLORS, CPU, NETWORK
from tests.meshes import at_once

LESSONS = {"high": (100, 1e-2), "low": (150, 5e-3)}
"""Steps and rate: tiny networks are taught quicker than large ones."""


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return lessons.write_asset(tmp_path_factory.mktemp("asset") / "cube.glb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return lessons.write_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def found(asset, folder, tmp_path_factory):
    return examples([asset], Model(folder, CPU), tmp_path_factory.mktemp("cache"), lambda sentence: None)


def opened(folder: Path, expert: str, start: Path | None = None):
    return open_expert(folder / expert, [folder / f"{expert}.safetensors"], start, CPU, torch.float32)


def text(folder: Path) -> torch.Tensor:
    return Model(folder, CPU).prompts().wanted


def mean_loss(expert, name: str, found, folder: Path) -> float:
    """Over 40 moments and noises that the training does not draw."""
    with torch.no_grad():
        return float(
            np.mean(
                [step_loss(expert, found, text(folder), moments(name), 99, step).item() for step in range(40)]
            )
        )


@pytest.fixture(scope="module")
def trained(folder, found, tmp_path_factory):
    """Per expert: the loss before and after, the expert, and its checkpoint."""
    results = {}
    for name in EXPERTS:
        expert, target = opened(folder, name), tmp_path_factory.mktemp(name)
        before = mean_loss(expert, name, found, folder)
        steps, rate = LESSONS[name]
        checkpoint = train(
            expert, found, text(folder), Recipe(name, rate=rate), steps, target, lambda *what: None
        )
        results[name] = before, mean_loss(expert, name, found, folder), expert, checkpoint
    return results


def test_a_tiny_network_learns_one_mesh(trained):
    for name, (before, after, _, _) in trained.items():
        print(f"\n{name}: loss {before:.3f} -> {after:.4f}")
        assert after < before / 10


def test_what_was_learnt_is_painted_in_the_colours_of_the_mesh(trained, folder, asset, tmp_path, monkeypatch):
    """Through conversion, the folder of weights and the painter, whose frames are compared with the file's
    own texture."""
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    monkeypatch.setitem(painter.QUALITY, "quality", Sampling(steps=10, guidance=1))
    mesh = read_textured(asset)
    surface = clean(mesh.mesh.data())
    views = cameras.orbits(32, 61)[0].cameras
    truth = [
        photograph(surface, wearing(surface.corner_uvs, mesh.images, mesh.image_of), camera)
        for camera in views
    ]
    buffers = render(surface, views)
    shown = Reference(truth[7] / np.float32(255), buffers[7].mask.astype(np.float32))

    def errors() -> list[float]:
        """Largest difference of a channel, of 255, between the mean painted colour of each side and its
        colour; both as AgX shows them."""
        settings = Settings(painter="orbitpainter")
        painting = painter.OrbitPainter().paint(
            surface, buffers, shown, settings, lambda fraction: None, at_once, ignore_preview
        )
        frames, wanted = (
            255 * agx.encode(colors / np.float32(255)) for colors in (np.stack(painting.frames), COLORS)
        )
        painted = np.stack([frames[(np.stack(truth) == color).all(axis=-1)].mean(axis=0) for color in COLORS])
        return np.abs(painted - wanted).max(axis=1).round().tolist()

    tiny_model.write_model(
        tmp_path / "orbitpainter", NETWORK, mosaic.autoencoder(), size=32, layout="horizontal"
    )
    random = errors()
    convert_model(
        {name: folder / f"{name}.safetensors" for name in EXPERTS},
        {name: checkpoint / checkpoints.PAINTER for name, (_, _, _, checkpoint) in trained.items()},
        folder / "vae",
        folder / PROMPTS,
        tmp_path / "orbitpainter",
        Card(size=32, frames=61, layout="horizontal"),
        lambda *what: None,
        config=NETWORK,
        dtype=torch.float32,
    )
    learnt = errors()
    print(f"\nrandom {random}, learnt {learnt}")
    assert max(learnt) < 40 < min(random)  # of which the autoencoder's 8 pixels cost up to 19


def test_the_autoencoder_of_these_tests_keeps_the_colours_of_eight_by_eight_pixels():
    film = torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        latents = encode(mosaic.autoencoder(), film)
        shown = decode(mosaic.autoencoder(), latents)
    means = film[0, :, 1:5].reshape(3, 4, 4, 8, 4, 8).mean(dim=(1, 3, 5))
    torch.testing.assert_close(latents[0, 3:6, 1], means, atol=1e-3, rtol=0)
    torch.testing.assert_close(shown[0, :, 4, ::8, ::8], means, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", EXPERTS)
def test_a_checkpoint_is_a_painters_file_and_its_conversion_the_network_that_learnt(
    trained, folder, name, tmp_path
):
    _, _, expert, checkpoint = trained[name]
    file = checkpoint / checkpoints.PAINTER
    attentions = [f"{side}_attn.{letter}" for side in ("self", "cross") for letter in "qkvo"]
    layers = {
        f"blocks.{block}.{part}"
        for block in range(NETWORK["num_layers"])
        for part in ("ffn.0", "ffn.2", *attentions)
    }
    assert set(load_file(file)) == {
        "patch_embedding.weight",
        "patch_embedding.bias",
        *(f"{layer}.lora_{side}.default.weight" for layer in layers for side in "AB"),
    }
    convert_expert([folder / f"{name}.safetensors"], file, tmp_path / name, NETWORK, dtype=torch.float32)
    converted = network.load(WanTransformer3DModel, tmp_path / name)
    random = torch.Generator().manual_seed(6)
    films = [torch.randn(1, 16, 3, 4, 4, generator=random) for _ in range(3)]
    inputs = (
        films[0],
        condition(films[1], films[2], torch.randn(1, 16, 1, 4, 4, generator=random)),
        torch.tensor([900.0]),
        text(folder),
    )
    with torch.no_grad():
        torch.testing.assert_close(
            velocity(expert.network, *inputs), velocity(converted, *inputs), atol=1e-4, rtol=1e-4
        )


@pytest.fixture
def naive(tmp_path):
    """The folder of a model as the naive implementation has it; the files of its base and of a painter."""
    tiny_model.save(WanTransformer3DModel(in_channels=network.PACKED, **naive_wan.CONFIG), tmp_path / "high")
    save_file(naive_wan.base_tensors(1), tmp_path / "base.safetensors")
    save_file(naive_wan.painter_tensors(2), tmp_path / "painter.safetensors")
    return tmp_path


def test_an_expert_that_learns_is_the_published_network(naive):
    expert = open_expert(
        naive / "high",
        [naive / "base.safetensors"],
        naive / "painter.safetensors",
        CPU,
        torch.float64,
        naive_wan.RANK,
    )
    random = torch.Generator().manual_seed(7)
    noisy, position, normal = (torch.randn(1, 16, 2, 4, 4, generator=random) for _ in range(3))
    still, words = torch.randn(1, 16, 1, 4, 4, generator=random), torch.randn(1, 512, 20, generator=random)
    with torch.no_grad():
        mine = velocity(
            expert.network, noisy, condition(position, normal, still).double(), torch.tensor([900.0]), words
        )
        other = naive_wan.network(
            naive_wan.together(naive_wan.base_tensors(1), naive_wan.painter_tensors(2)),
            *(part[0].double() for part in (noisy, position, normal)),
            still[0, :, 0].double(),
            900.0,
            words[0].double(),
        )
    torch.testing.assert_close(mine[0].double(), other, atol=1e-3, rtol=0)


def test_a_new_lora_changes_nothing_and_the_patch_embedding_begins_with_the_bases(naive):
    learning = open_expert(
        naive / "high", [naive / "base.safetensors"], None, CPU, torch.float32, naive_wan.RANK
    ).learning
    assert {name: tensor.shape for name, tensor in learning.items()} == {
        name: tensor.shape for name, tensor in naive_wan.painter_tensors(2).items()
    }
    assert all((tensor == 0).all() for name, tensor in learning.items() if ".lora_B." in name)
    assert all((tensor != 0).any() for name, tensor in learning.items() if ".lora_A." in name)
    base = naive_wan.base_tensors(1)
    assert torch.equal(learning["patch_embedding.weight"][:, :52], base["patch_embedding.weight"])
    assert (learning["patch_embedding.weight"][:, 52:] != 0).any()
    assert torch.equal(learning["patch_embedding.bias"], base["patch_embedding.bias"])


def test_only_the_lora_and_the_patch_embedding_learn(trained, folder):
    _, _, expert, _ = trained["high"]
    assert {id(parameter) for parameter in expert.network.parameters() if parameter.requires_grad} == set(
        map(id, expert.learning.values())
    )
    begun = opened(folder, "high")
    assert begun.network.is_gradient_checkpointing
    now, then = expert.network.state_dict(), begun.network.state_dict()
    changed = {name for name in now if not torch.equal(now[name], then[name])}
    assert changed == {name for name in now if name.endswith((".up", ".down"))} | {
        "patch_embedding.video",
        "patch_embedding.bias",
    }


def test_the_noise_levels_of_each_expert_are_the_published_ones():
    high, low = moments("high"), moments("low")
    assert (len(high.time), len(low.time)) == (358, 642)
    assert (len(high.time.unique()), len(low.time.unique())) == (26, 269)
    assert (high.time.min(), high.time.max()) == (900, 1000)
    assert (low.time.min(), low.time.max()) == (pytest.approx(4.97, abs=0.01), 900)
    grid = [5 * s / (1 + 4 * s) for s in (1 - i / 1000 for i in range(1000))]
    levels = torch.cat([high.level, low.level])
    assert {round(level, 5) for level in levels.tolist()} <= {round(level, 5) for level in grid}
    assert (levels - torch.tensor(grid)).abs().max() < 0.0026
    assert (levels - torch.cat([high.time, low.time]) / 1000).abs().max() < 0.0026


def test_errors_weigh_most_in_the_middle_and_nothing_at_pure_noise():
    time, weight = (
        torch.cat([getattr(moments(name), part) for name in EXPERTS]) for part in ("time", "weight")
    )
    assert weight[time == 1000].max() == 0
    assert weight[time == 900][0] == pytest.approx(0.63, abs=0.005)
    assert (weight.max(), time[weight.argmax()]) == (pytest.approx(2.076, abs=0.001), 500)
    assert weight[-1] == pytest.approx(0.03, abs=0.003)
    assert weight.mean() == pytest.approx(1, abs=2e-3)


def test_a_training_that_was_interrupted_ends_with_the_same_numbers(folder, found, tmp_path):
    recipe = Recipe("low", seed=5, rate=5e-3)
    whole = train(
        opened(folder, "low"), found, text(folder), recipe, 8, tmp_path / "whole", lambda *what: None
    )
    first = train(
        opened(folder, "low"), found, text(folder), recipe, 3, tmp_path / "parts", lambda *what: None
    )
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["step_000003"]
    told = []
    second = train(
        opened(folder, "low", first / checkpoints.PAINTER),
        found,
        text(folder),
        recipe,
        8,
        tmp_path / "parts",
        lambda step, loss: told.append(step),
    )
    assert told == [4, 5, 6, 7, 8]
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["step_000008"]
    for name in (checkpoints.PAINTER, checkpoints.OPTIMIZER):
        one, other = load_file(whole / name), load_file(second / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_disk_that_is_full_keeps_the_last_checkpoint(folder, found, tmp_path, disk):
    recipe = Recipe("low", seed=5, rate=5e-3)
    first = train(
        opened(folder, "low"), found, text(folder), recipe, 1, tmp_path / "begun", lambda *what: None
    )
    size = sum(path.stat().st_size for path in first.iterdir())
    place = disk(f"size={3 * size // 2}")
    shutil.copytree(first, place / first.name)
    with pytest.raises(StorageError, match="disk is full"):
        train(
            opened(folder, "low", first / checkpoints.PAINTER),
            found,
            text(folder),
            recipe,
            2,
            place,
            lambda *what: None,
        )
    assert [path.name for path in place.iterdir()] == [first.name]
    assert (
        checkpoints.latest(place).joinpath(checkpoints.OPTIMIZER).read_bytes()
        == (first / checkpoints.OPTIMIZER).read_bytes()
    )


def test_the_first_steps_are_gentle(folder, found, tmp_path):
    begun = opened(folder, "high")
    before = begun.learning["patch_embedding.bias"].detach().clone()
    train(begun, found, text(folder), Recipe("high", rate=3e-3, decay=0.0), 1, tmp_path, lambda *what: None)
    moved = (begun.learning["patch_embedding.bias"].detach() - before).abs().max()
    assert moved == pytest.approx(1e-3, rel=0.01)  # AdamW's first step is as long as its rate


def test_the_command_trains_and_goes_on(asset, folder, found, tmp_path, monkeypatch, capsys):
    def command(*more: str) -> int:
        monkeypatch.setattr(
            "sys.argv",
            [
                "backend",
                "train",
                str(asset),
                "--expert",
                "high",
                "--base",
                str(folder / "high.safetensors"),
                "--model",
                str(folder),
                "--cache",
                str(found[0].file.parent),
                "-o",
                str(tmp_path / "run"),
                *more,
            ],
        )
        return command_line.main()

    assert command("--steps", "2", "--resume") == 2
    assert "no training to go on with" in capsys.readouterr().err
    assert command("--steps", "0") == 2
    assert command("--steps", "2") == 0
    assert "step 2 of 2, loss 0." in capsys.readouterr().out
    assert command("--steps", "3") == 2
    assert "holds a training already" in capsys.readouterr().err
    assert command("--steps", "3", "--resume", "--rate", "0.5") == 2
    assert "was begun with" in capsys.readouterr().err
    assert command("--steps", "3", "--resume") == 0
    assert f"Written: {tmp_path / 'run' / 'step_000003'}" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "step_000003" / "recipe.json").read_text())["expert"] == "high"


def test_a_loss_that_is_no_number_leaves_the_last_checkpoint(folder, found, tmp_path):
    recipe = Recipe("high")
    kept = train(opened(folder, "high"), found, text(folder), recipe, 1, tmp_path, lambda *what: None)
    broken = opened(folder, "high", kept / checkpoints.PAINTER)
    broken.learning["patch_embedding.bias"].data[:] = float("nan")
    with pytest.raises(InvalidSettings, match="loss of step 2 is not a number"):
        train(broken, found, text(folder), recipe, 3, tmp_path, lambda *what: None)
    assert checkpoints.latest(tmp_path) == kept
