"""The four-step LoRA: its file, what it adds to an expert, and the four steps, beside a naive
implementation."""

import sys

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file, save_file

from backend import __main__ as command
from backend.api.errors import InvalidWeights
from backend.paint.orbitpainter import distilled_lora, network
from backend.paint.orbitpainter.convert import convert_expert, convert_model
from backend.paint.orbitpainter.device_placement import prepare_for_device
from backend.paint.orbitpainter.memory_plan import MEMORY_PROFILES
from backend.paint.orbitpainter.model import PROMPTS_FILE, Model, ModelCard
from backend.paint.orbitpainter.network import pack_condition, predict_velocity
from backend.paint.orbitpainter.painter import QUALITY_PRESETS
from backend.paint.orbitpainter.sampler import EXPERT_NAMES, Prompts, denoise
from tests import naive_wan, tiny_model
from tests.tiny_model import CPU


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Both experts' published files and four-step LoRAs, tiny."""
    folder = tmp_path_factory.mktemp("weights")
    for name, seed in zip(EXPERT_NAMES, (1, 2), strict=True):
        save_file(naive_wan.base_tensors(seed), folder / f"{name}-base.safetensors")
        save_file(naive_wan.painter_tensors(10 + seed), folder / f"{name}-painter.safetensors")
        save_file(naive_wan.four_step_tensors(20 + seed), folder / f"{name}-fast.safetensors")
    tiny_model.write_model(folder / "tiny")
    return folder


def files_of_experts(files, part):
    return {name: files / f"{name}-{part}.safetensors" for name in EXPERT_NAMES}


def convert(files, target, four_steps, **options):
    convert_model(
        files_of_experts(files, "base"),
        files_of_experts(files, "painter"),
        files / "tiny" / "vae",
        files / "tiny" / PROMPTS_FILE,
        target,
        ModelCard(size=32, frames=61),
        lambda *what: None,
        four_steps,
        **naive_wan.CONVERT_OPTIONS,
        **options,
    )
    return target


@pytest.fixture(scope="module")
def folder(files, tmp_path_factory):
    return convert(
        files,
        tmp_path_factory.mktemp("models") / "orbitpainter",
        files_of_experts(files, "fast"),
        dtype=torch.float32,
    )


@pytest.fixture(scope="module")
def folder_16_bits(files, tmp_path_factory):
    """A converted model with its four-step LoRA, in 16 bits."""
    return convert(files, tmp_path_factory.mktemp("stored") / "orbitpainter", files_of_experts(files, "fast"))


@pytest.fixture(scope="module")
def inputs():
    random = torch.Generator().manual_seed(5)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 6, generator=random) for _ in range(3))
    reference, text = torch.randn(1, 16, 1, 4, 6, generator=random), torch.zeros(1, 512, 20)
    text[0, :5] = torch.randn(5, 20, generator=random)
    return noisy, position, normal, reference, text


def test_fast_sampling_has_the_noise_levels_of_the_distillation():
    sampling = QUALITY_PRESETS["fast"]
    torch.testing.assert_close(
        sampling.sigmas(), torch.tensor([1, 0.9375, 5 / 6, 0.625, 0], dtype=torch.float64)
    )
    assert [sampling.expert_at(sigma) for sigma in sampling.sigmas().tolist()[:-1]] == [
        "high",
        "high",
        "low",
        "low",
    ]
    assert [sampling.prompts_of(name) for name in EXPERT_NAMES] == [("positive",), ("positive",)]


def test_four_steps_equal_the_naive_loop_with_the_lora_added(folder, inputs):
    noisy, position, normal, reference, text = inputs
    experts = {
        name: Model(folder, CPU, sampling=QUALITY_PRESETS["fast"]).load_expert(name) for name in EXPERT_NAMES
    }
    broken = Prompts(text, torch.full_like(text, torch.nan))
    latents = denoise(
        experts.get,
        noisy,
        pack_condition(position, normal, reference),
        broken,
        QUALITY_PRESETS["fast"],
        lambda fraction: None,
    )
    weights = [
        naive_wan.add_four_step_lora(
            naive_wan.merge_painter(naive_wan.base_tensors(seed), naive_wan.painter_tensors(10 + seed)),
            naive_wan.four_step_tensors(20 + seed),
        )
        for seed in (1, 2)
    ]
    words = text[0].double()
    expected, experts_used = naive_wan.sample_clip(
        weights,
        *(part[0].double() for part in (noisy, position, normal)),
        reference[0, :, 0].double(),
        words,
        words,
        4,
        1.0,
    )
    assert experts_used == "HHLL"
    assert expected.abs().mean() > 0.3
    torch.testing.assert_close(latents[0].double(), expected, atol=2e-4, rtol=0)


def convert_without_lora(files, tmp_path):
    target = tmp_path / "plain"
    convert_expert(
        [files / "high-base.safetensors"],
        files / "high-painter.safetensors",
        target,
        dtype=torch.float32,
        **naive_wan.CONVERT_OPTIONS,
    )
    return network.load_network(WanTransformer3DModel, target)


def test_lora_names_of_another_trainer_without_alpha_mean_the_same(files, tmp_path):
    """Halves of a LoRA of scale 2 with alpha, and the whole of one of scale 1 without it, in the names of
    another trainer."""
    tensors = load_file(files / "high-fast.safetensors")
    other = {}
    for name, tensor in tensors.items():
        if not name.endswith(".alpha"):
            name = (
                name.removeprefix("diffusion_model.")
                .replace("lora_down", "lora_A")
                .replace("lora_up", "lora_B")
            )
            other[name] = 2 * tensor if "lora_B" in name else tensor
    save_file(other, tmp_path / "other.safetensors")
    merged = []
    for file in (files / "high-fast.safetensors", tmp_path / "other.safetensors"):
        expert = convert_without_lora(files, tmp_path)
        adapter = distilled_lora.LoraAdapter(
            file, {name: tuple(tensor.shape) for name, tensor in expert.named_parameters()}
        )
        merged.append(
            prepare_for_device(expert, MEMORY_PROFILES[0], CPU, QUALITY_PRESETS["fast"], adapter).state_dict()
        )
    for name, tensor in merged[0].items():
        torch.testing.assert_close(tensor, merged[1][name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("profile", MEMORY_PROFILES, ids=str)
def test_every_memory_profile_holds_the_merged_weights(folder_16_bits, inputs, profile):
    noisy, position, normal, reference, text = inputs
    arguments = noisy, pack_condition(position, normal, reference), torch.tensor([900.0]), text
    with torch.no_grad():
        without, whole, held = (
            predict_velocity(Model(folder_16_bits, CPU, *how).load_expert("high"), *arguments)
            for how in (
                (MEMORY_PROFILES[0],),
                (MEMORY_PROFILES[0], QUALITY_PRESETS["fast"]),
                (profile, QUALITY_PRESETS["fast"]),
            )
        )
    assert (without - whole).abs().mean() > 0.1 * whole.abs().mean()
    if profile.precision == "bf16":
        assert torch.equal(whole, held)
    else:
        assert (
            0
            < (whole - held).abs().mean()
            < {"fp8": 0.1, "4bit": 0.2}[profile.precision] * whole.abs().mean()
        )


DOWN = "diffusion_model.blocks.1.cross_attn.k.lora_down.weight"


def without(name):
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without(DOWN), f"'{DOWN}' is missing"),
        (without(DOWN.replace("down", "up")), f"'{DOWN.replace('down', 'up')}' is missing"),
        (
            lambda tensors: tensors | {DOWN: torch.zeros(3, 47)},
            r"lora_down.weight' has the shape \(3, 47\) instead of \(3, 48\)",
        ),
        (
            lambda tensors: tensors | {DOWN: torch.zeros(2, 48)},
            r"lora_up.weight' has the shape \(48, 3\) instead of \(48, 2\)",
        ),
        (lambda tensors: tensors | {DOWN: torch.zeros(3, 48, dtype=torch.int32)}, "the type I32"),
        (
            lambda tensors: tensors | {DOWN.replace("lora_down.weight", "alpha"): torch.ones(3)},
            r"alpha' has the shape \(3,\)",
        ),
        (
            lambda tensors: (
                tensors | {"diffusion_model.blocks.0.cross_attn.k_img.lora_down.weight": torch.zeros(3, 48)}
            ),
            "k_img.*is unknown",
        ),
        (
            lambda tensors: tensors | {"diffusion_model.patch_embedding.diff_b": torch.zeros(48)},
            "patch_embedding.diff_b' is unknown",
        ),
        (
            lambda tensors: tensors | {"diffusion_model.blocks.0.norm3.lora_down.weight": torch.zeros(3, 48)},
            "norm3.*is unknown",
        ),
        (
            lambda tensors: {
                name.replace("blocks.1.", "blocks.2."): tensor for name, tensor in tensors.items()
            },
            "blocks.1.*is missing",
        ),
        (
            lambda tensors: tensors | {"diffusion_model.head.diff_m": torch.zeros(1, 3, 48)},
            r"head.diff_m' has the shape \(1, 3, 48\)",
        ),
    ],
)
def test_a_wrong_lora_file_is_reported_with_its_tensor_before_conversion(files, tmp_path, change, words):
    wrong = tmp_path / "wrong.safetensors"
    save_file(change(load_file(files / "low-fast.safetensors")), wrong)
    (tmp_path / "model").mkdir()
    with pytest.raises(InvalidWeights, match=rf"wrong\.safetensors.*{words}"):
        convert(files, tmp_path / "model", files_of_experts(files, "fast") | {"low": wrong})
    assert list((tmp_path / "model").iterdir()) == []


def test_a_model_without_lora_files_reports_what_fast_needs(files, folder, tmp_path):
    target = convert(files, tmp_path / "model", None)
    Model(target, CPU).check()
    with pytest.raises(
        InvalidWeights, match=r"Fast needs .*fast_high.safetensors is missing.*--fast-high and --fast-low"
    ):
        Model(target, CPU, sampling=QUALITY_PRESETS["fast"]).check()
    Model(folder, CPU, sampling=QUALITY_PRESETS["fast"]).check()


def test_the_convert_command_refuses_one_lora_file_without_the_other(files, monkeypatch, capsys, tmp_path):
    given = [
        f"--{kind}-{name}={files / name}-{part}.safetensors"
        for kind, part in (("base", "base"), ("painter", "painter"))
        for name in EXPERT_NAMES
    ]
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "backend",
            "convert",
            *given,
            "--vae",
            "x",
            "--prompts",
            "y",
            "--fast-high",
            "z",
            "-o",
            str(tmp_path / "model"),
        ],
    )
    assert command.main() == 2
    assert "both --fast-high and --fast-low" in capsys.readouterr().err
