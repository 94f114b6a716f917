"""Training OrbitPainter: noise levels, trained tensors and checkpoints; a tiny network learns one mesh and
paints it."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

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
from backend.paint.orbitpainter.model import PROMPTS_FILE, Model, ModelCard
from backend.paint.orbitpainter.network import decode_video, encode_video, pack_condition, predict_velocity
from backend.paint.orbitpainter.sampler import EXPERT_NAMES, SamplingConfig
from backend.paint.preview import ignore_preview
from backend.paint.reference import Reference
from backend.render.photograph import photograph, texture_lookup
from backend.render.rasterize import render
from backend.train import checkpoints
from backend.train.expert import TrainableExpert, open_expert
from backend.train.objective import expert_noise_levels
from backend.train.train import Recipe, step_loss, train_expert
from tests import mosaic, naive_wan, tiny_model
from tests.lessons import CUBE_COLORS, TRAINED_NETWORK
from tests.meshes import run_at_once
from tests.tiny_model import CPU

STEPS_AND_RATE = {"high": (100, 1e-2), "low": (150, 5e-3)}
"""Steps and learning rate by expert: tiny networks learn faster than large ones."""


def open_tiny_expert(folder: Path, expert: str, start: Path | None = None):
    return open_expert(folder / expert, [folder / f"{expert}.safetensors"], start, CPU, torch.float32)


def text(folder: Path) -> torch.Tensor:
    return Model(folder, CPU).load_prompts().positive


def train(
    folder: Path, examples, recipe: Recipe, steps: int, target: Path, expert=None, progress=lambda *what: None
) -> Path:
    """The last checkpoint of a training of a tiny expert, by default of a new one."""
    expert = expert or open_tiny_expert(folder, recipe.expert)
    return train_expert(expert, examples, text(folder), recipe, steps, target, progress)


def mean_loss(folder: Path, expert, name: str, examples) -> float:
    """The mean over 40 noise levels and noises that the training does not draw."""
    prompt, levels = text(folder), expert_noise_levels(name)
    with torch.no_grad():
        losses = [step_loss(expert, examples, prompt, levels, 99, step).item() for step in range(40)]
    return float(np.mean(losses))


class TrainingResult(NamedTuple):
    """A trained expert, its checkpoint and its mean loss before and after."""

    expert: TrainableExpert
    checkpoint: Path
    before: float
    after: float


@pytest.fixture(scope="module")
def training_results(folder, training_examples, tmp_path_factory):
    """By the expert's name."""
    results = {}
    for name in EXPERT_NAMES:
        expert, target = open_tiny_expert(folder, name), tmp_path_factory.mktemp(name)
        before = mean_loss(folder, expert, name, training_examples)
        steps, rate = STEPS_AND_RATE[name]
        checkpoint = train(folder, training_examples, Recipe(name, rate=rate), steps, target, expert=expert)
        after = mean_loss(folder, expert, name, training_examples)
        results[name] = TrainingResult(expert, checkpoint, before, after)
    return results


def test_training_on_one_mesh_lowers_the_loss_tenfold(training_results):
    for name, result in training_results.items():
        print(f"\n{name}: loss {result.before:.3f} -> {result.after:.4f}")
        assert result.after < result.before / 10


def test_trained_experts_paint_in_the_colours_of_the_mesh(
    training_results, folder, asset, tmp_path, monkeypatch
):
    """Through conversion, the folder of weights and the painter, whose frames are compared with the file's
    own texture."""
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    monkeypatch.setitem(painter.QUALITY_PRESETS, "quality", SamplingConfig(steps=10, guidance=1))
    mesh = read_textured(asset)
    surface = clean(mesh.mesh.to_mesh_data())
    views = cameras.orbits(32, 61)[0].cameras
    truth = [
        photograph(surface, texture_lookup(surface.corner_uvs, mesh.images, mesh.image_of), camera)
        for camera in views
    ]
    buffers = render(surface, views)
    shown = Reference(truth[7] / np.float32(255), buffers[7].mask.astype(np.float32))

    def errors() -> list[float]:
        """Largest difference of a channel, of 255, between the mean painted colour of each of the cube's
        colours and that colour; both as AgX shows them."""
        settings = Settings(painter="orbitpainter")
        painting = painter.OrbitPainter().paint(
            surface, buffers, shown, settings, lambda fraction: None, run_at_once, ignore_preview
        )
        frames, expected = (
            255 * agx.encode(colors / np.float32(255)) for colors in (np.stack(painting.frames), CUBE_COLORS)
        )
        painted = np.stack(
            [frames[(np.stack(truth) == color).all(axis=-1)].mean(axis=0) for color in CUBE_COLORS]
        )
        return np.abs(painted - expected).max(axis=1).round().tolist()

    tiny_model.write_model(
        tmp_path / "orbitpainter", TRAINED_NETWORK, mosaic.autoencoder(), size=32, layout="horizontal"
    )
    random = errors()
    convert_model(
        {name: folder / f"{name}.safetensors" for name in EXPERT_NAMES},
        {name: result.checkpoint / checkpoints.PAINTER_FILE for name, result in training_results.items()},
        folder / "vae",
        folder / PROMPTS_FILE,
        tmp_path / "orbitpainter",
        ModelCard(size=32, frames=61, layout="horizontal"),
        lambda *what: None,
        config=TRAINED_NETWORK,
        dtype=torch.float32,
    )
    learnt = errors()
    print(f"\nrandom {random}, learnt {learnt}")
    assert max(learnt) < 40 < min(random)  # of which the autoencoder's 8 pixels cost up to 19


def test_the_mosaic_autoencoder_keeps_the_mean_colours_of_its_cells():
    video = torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        latents = encode_video(mosaic.autoencoder(), video)
        decoded = decode_video(mosaic.autoencoder(), latents)
    means = video[0, :, 1:5].reshape(3, 4, 4, 8, 4, 8).mean(dim=(1, 3, 5))
    torch.testing.assert_close(latents[0, 3:6, 1], means, atol=1e-3, rtol=0)
    torch.testing.assert_close(decoded[0, :, 4, ::8, ::8], means, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", EXPERT_NAMES)
def test_a_converted_checkpoint_equals_the_trained_network(training_results, folder, name, tmp_path):
    expert, checkpoint, *_ = training_results[name]
    file = checkpoint / checkpoints.PAINTER_FILE
    attentions = [f"{kind}_attn.{letter}" for kind in ("self", "cross") for letter in "qkvo"]
    layers = {
        f"blocks.{block}.{layer}"
        for block in range(TRAINED_NETWORK["num_layers"])
        for layer in ("ffn.0", "ffn.2", *attentions)
    }
    assert set(load_file(file)) == {
        "patch_embedding.weight",
        "patch_embedding.bias",
        *(f"{layer}.lora_{factor}.default.weight" for layer in layers for factor in "AB"),
    }
    convert_expert(
        [folder / f"{name}.safetensors"], file, tmp_path / name, TRAINED_NETWORK, dtype=torch.float32
    )
    converted = network.load_network(WanTransformer3DModel, tmp_path / name)
    random = torch.Generator().manual_seed(6)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 4, generator=random) for _ in range(3))
    inputs = (
        noisy,
        pack_condition(position, normal, torch.randn(1, 16, 1, 4, 4, generator=random)),
        torch.tensor([900.0]),
        text(folder),
    )
    with torch.no_grad():
        torch.testing.assert_close(
            predict_velocity(expert.network, *inputs),
            predict_velocity(converted, *inputs),
            atol=1e-4,
            rtol=1e-4,
        )


@pytest.fixture
def naive(tmp_path):
    """The folder of a model as the naive implementation has it; the files of its base and of a painter."""
    tiny_model.save(
        WanTransformer3DModel(in_channels=network.INPUT_CHANNELS, **naive_wan.NAIVE_CONFIG), tmp_path / "high"
    )
    save_file(naive_wan.base_tensors(1), tmp_path / "base.safetensors")
    save_file(naive_wan.painter_tensors(2), tmp_path / "painter.safetensors")
    return tmp_path


def test_an_expert_opened_for_training_equals_the_published_network(naive):
    expert = open_expert(
        naive / "high",
        [naive / "base.safetensors"],
        naive / "painter.safetensors",
        CPU,
        torch.float64,
        naive_wan.LORA_RANK,
    )
    random = torch.Generator().manual_seed(7)
    noisy, position, normal = (torch.randn(1, 16, 2, 4, 4, generator=random) for _ in range(3))
    reference, prompt = (
        torch.randn(1, 16, 1, 4, 4, generator=random),
        torch.randn(1, 512, 20, generator=random),
    )
    with torch.no_grad():
        mine = predict_velocity(
            expert.network,
            noisy,
            pack_condition(position, normal, reference).double(),
            torch.tensor([900.0]),
            prompt,
        )
        other = naive_wan.predict_velocity(
            naive_wan.merge_painter(naive_wan.base_tensors(1), naive_wan.painter_tensors(2)),
            *(part[0].double() for part in (noisy, position, normal)),
            reference[0, :, 0].double(),
            900.0,
            prompt[0].double(),
        )
    torch.testing.assert_close(mine[0].double(), other, atol=1e-3, rtol=0)


def test_a_new_lora_is_zero_and_the_patch_embedding_starts_with_the_base(naive):
    parameters = open_expert(
        naive / "high", [naive / "base.safetensors"], None, CPU, torch.float32, naive_wan.LORA_RANK
    ).parameters
    assert {name: tensor.shape for name, tensor in parameters.items()} == {
        name: tensor.shape for name, tensor in naive_wan.painter_tensors(2).items()
    }
    assert all((tensor == 0).all() for name, tensor in parameters.items() if ".lora_B." in name)
    assert all((tensor != 0).any() for name, tensor in parameters.items() if ".lora_A." in name)
    base = naive_wan.base_tensors(1)
    assert torch.equal(parameters["patch_embedding.weight"][:, :52], base["patch_embedding.weight"])
    assert (parameters["patch_embedding.weight"][:, 52:] != 0).any()
    assert torch.equal(parameters["patch_embedding.bias"], base["patch_embedding.bias"])


def test_only_the_lora_and_the_patch_embedding_are_trained(training_results, folder):
    expert = training_results["high"].expert
    assert {id(parameter) for parameter in expert.network.parameters() if parameter.requires_grad} == set(
        map(id, expert.parameters.values())
    )
    fresh = open_tiny_expert(folder, "high")
    assert fresh.network.is_gradient_checkpointing
    now, then = expert.network.state_dict(), fresh.network.state_dict()
    changed = {name for name in now if not torch.equal(now[name], then[name])}
    assert changed == {name for name in now if name.endswith((".up", ".down"))} | {
        "patch_embedding.video_weight",
        "patch_embedding.bias",
    }


def test_each_expert_trains_on_the_published_noise_levels():
    high, low = expert_noise_levels("high"), expert_noise_levels("low")
    assert (len(high.timestep), len(low.timestep)) == (358, 642)
    assert (len(high.timestep.unique()), len(low.timestep.unique())) == (26, 269)
    assert (high.timestep.min(), high.timestep.max()) == (900, 1000)
    assert (low.timestep.min(), low.timestep.max()) == (pytest.approx(4.97, abs=0.01), 900)
    grid = [5 * s / (1 + 4 * s) for s in (1 - i / 1000 for i in range(1000))]
    sigmas = torch.cat([high.sigma, low.sigma])
    assert {round(sigma, 5) for sigma in sigmas.tolist()} <= {round(sigma, 5) for sigma in grid}
    assert (sigmas - torch.tensor(grid)).abs().max() < 0.0026
    assert (sigmas - torch.cat([high.timestep, low.timestep]) / 1000).abs().max() < 0.0026


def test_the_loss_weighs_middle_noise_levels_most_and_pure_noise_not():
    timestep, weight = (
        torch.cat([getattr(expert_noise_levels(name), part) for name in EXPERT_NAMES])
        for part in ("timestep", "weight")
    )
    assert weight[timestep == 1000].max() == 0
    assert weight[timestep == 900][0] == pytest.approx(0.63, abs=0.005)
    assert (weight.max(), timestep[weight.argmax()]) == (pytest.approx(2.076, abs=0.001), 500)
    assert weight[-1] == pytest.approx(0.03, abs=0.003)
    assert weight.mean() == pytest.approx(1, abs=2e-3)


def test_an_interrupted_training_ends_with_the_same_tensors(folder, training_examples, tmp_path):
    recipe = Recipe("low", seed=5, rate=5e-3)
    uninterrupted = train(folder, training_examples, recipe, 8, tmp_path / "whole")
    first = train(folder, training_examples, recipe, 3, tmp_path / "parts")
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["step_000003"]
    steps = []
    resumed = train(
        folder,
        training_examples,
        recipe,
        8,
        tmp_path / "parts",
        expert=open_tiny_expert(folder, "low", first / checkpoints.PAINTER_FILE),
        progress=lambda step, loss: steps.append(step),
    )
    assert steps == [4, 5, 6, 7, 8]
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["step_000008"]
    for name in (checkpoints.PAINTER_FILE, checkpoints.OPTIMIZER_FILE):
        expected, found = load_file(uninterrupted / name), load_file(resumed / name)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_full_disk_keeps_the_last_checkpoint(folder, training_examples, tmp_path, disk):
    recipe = Recipe("low", seed=5, rate=5e-3)
    first = train(folder, training_examples, recipe, 1, tmp_path / "begun")
    size = sum(path.stat().st_size for path in first.iterdir())
    place = disk(f"size={3 * size // 2}")
    shutil.copytree(first, place / first.name)
    resumed = open_tiny_expert(folder, "low", first / checkpoints.PAINTER_FILE)
    with pytest.raises(StorageError, match="disk is full"):
        train(folder, training_examples, recipe, 2, place, expert=resumed)
    assert [path.name for path in place.iterdir()] == [first.name]
    assert (
        checkpoints.latest(place).joinpath(checkpoints.OPTIMIZER_FILE).read_bytes()
        == (first / checkpoints.OPTIMIZER_FILE).read_bytes()
    )


def test_the_first_training_steps_have_a_third_of_the_learning_rate(folder, training_examples, tmp_path):
    fresh = open_tiny_expert(folder, "high")
    before = fresh.parameters["patch_embedding.bias"].detach().clone()
    train(folder, training_examples, Recipe("high", rate=3e-3, decay=0.0), 1, tmp_path, expert=fresh)
    change = (fresh.parameters["patch_embedding.bias"].detach() - before).abs().max()
    assert change == pytest.approx(1e-3, rel=0.01)  # AdamW's first step is as long as its rate


def test_the_train_command_trains_and_resumes(
    asset, folder, training_examples, tmp_path, monkeypatch, capsys
):
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
                str(training_examples[0].file.parent),
                "-o",
                str(tmp_path / "run"),
                *more,
            ],
        )
        return command_line.main()

    assert command("--steps", "2", "--resume") == 2
    assert "no training to continue" in capsys.readouterr().err
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


def test_a_loss_that_is_not_a_number_leaves_the_last_checkpoint(folder, training_examples, tmp_path):
    recipe = Recipe("high")
    kept = train(folder, training_examples, recipe, 1, tmp_path)
    broken = open_tiny_expert(folder, "high", kept / checkpoints.PAINTER_FILE)
    broken.parameters["patch_embedding.bias"].data[:] = float("nan")
    with pytest.raises(InvalidSettings, match="loss of step 2 is not a number"):
        train(folder, training_examples, recipe, 3, tmp_path, expert=broken)
    assert checkpoints.latest(tmp_path) == kept
