"""Speed and memory of sampling: the first-block cache, unloading, memory profiles, quantization, estimated
time."""

import json
import math
import sys
import weakref

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch.utils.flop_counter import FlopCounterMode

from backend.paint.orbitpainter import cost_model, device_placement, memory_plan
from backend.paint.orbitpainter.device_placement import prepare_for_device
from backend.paint.orbitpainter.memory_plan import MEMORY_PROFILES, MemoryProfile
from backend.paint.orbitpainter.model import Model
from backend.paint.orbitpainter.network import (
    INPUT_CHANNELS,
    PUBLISHED_CONFIG,
    decode_video,
    encode_video,
    pack_condition,
    predict_velocity,
)
from backend.paint.orbitpainter.painter import QUALITY_PRESETS
from backend.paint.orbitpainter.quantization import GROUP_SIZE, FourBitLinear
from backend.paint.orbitpainter.sampler import EXPERT_NAMES, Prompts, SamplingConfig, denoise
from benchmarks import orbitpainter as benchmark
from tests import tiny_model
from tests.tiny_model import CPU

ALWAYS_CACHED = SamplingConfig(steps=6, cache_threshold=1e9)
"""Sampling that uses the cache wherever it can."""

NEVER_CACHED = SamplingConfig(steps=6, cache_threshold=0.0)
"""Sampling whose cache is never valid."""

STREAMED = MemoryProfile("bf16", streamed=True)


def experts(sampling, profile=MEMORY_PROFILES[0]):
    """Two networks of three blocks, the same each time."""
    result = {}
    for seed, name in enumerate(EXPERT_NAMES):
        torch.manual_seed(seed)
        result[name] = prepare_for_device(
            WanTransformer3DModel(
                in_channels=INPUT_CHANNELS, **(tiny_model.TINY_NETWORK | {"num_layers": 3})
            ).eval(),
            profile,
            CPU,
            sampling,
        )
    return result


def count_calls(networks):
    """Counters, per network, of the calls of each block from now on."""
    counts = {name: [0, 0, 0] for name in networks}
    for name, network in networks.items():
        for index, block in enumerate(network.blocks):

            def count(*_, own=counts[name], index=index):
                own[index] += 1

            block.ffn.register_forward_hook(count)
    return counts


def random_inputs(seed):
    random = torch.Generator().manual_seed(seed)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 4, generator=random) for _ in range(3))
    return noisy, pack_condition(position, normal, torch.randn(1, 16, 1, 4, 4, generator=random))


@pytest.fixture(scope="module")
def prompts():
    random = torch.Generator().manual_seed(9)
    return Prompts(
        *(torch.randn(1, 512, tiny_model.TINY_NETWORK["text_dim"], generator=random) for _ in range(2))
    )


def paint(networks, seed, prompts, sampling, progress=lambda fraction: None):
    return denoise(networks.get, *random_inputs(seed), prompts, sampling, progress)


def test_a_first_block_cache_that_is_never_valid_changes_nothing(prompts):
    networks = experts(NEVER_CACHED)
    counts = count_calls(networks)
    assert torch.equal(
        paint(networks, 1, prompts, NEVER_CACHED),
        paint(experts(SamplingConfig()), 1, prompts, SamplingConfig(steps=6)),
    )
    assert counts == {"high": [6, 6, 6], "low": [6, 6, 6]}


@pytest.mark.parametrize("profile", [MEMORY_PROFILES[0], STREAMED], ids=str)
def test_the_first_block_cache_skips_blocks_separately_for_each_prompt(prompts, profile):
    networks = experts(ALWAYS_CACHED, profile)
    counts = count_calls(networks)
    result = paint(networks, 1, prompts, ALWAYS_CACHED)
    # Three steps each, two prompts; the first step of each prompt is computed in full.
    assert counts == {"high": [6, 2, 2], "low": [6, 2, 2]}
    exact = paint(experts(NEVER_CACHED), 1, prompts, NEVER_CACHED)
    assert 0 < (result - exact).abs().mean() < 0.5 * exact.abs().mean()
    alone = SamplingConfig(steps=6, guided=("high",), cache_threshold=1e9)
    paint(networks, 1, prompts, alone)
    assert counts == {"high": [12, 4, 4], "low": [9, 3, 3]}


def test_the_first_block_cache_of_a_clip_is_never_used_for_the_next(prompts):
    networks = experts(ALWAYS_CACHED)
    paint(networks, 1, prompts, ALWAYS_CACHED)
    assert torch.equal(
        paint(networks, 2, prompts, ALWAYS_CACHED), paint(experts(ALWAYS_CACHED), 2, prompts, ALWAYS_CACHED)
    )

    def interrupt(fraction):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        paint(networks, 1, prompts, ALWAYS_CACHED, interrupt)
    assert torch.equal(
        paint(networks, 2, prompts, ALWAYS_CACHED), paint(experts(ALWAYS_CACHED), 2, prompts, ALWAYS_CACHED)
    )


@pytest.mark.parametrize("sampling", [SamplingConfig(steps=4), ALWAYS_CACHED], ids=["uncached", "cached"])
@pytest.mark.parametrize("profile", [MEMORY_PROFILES[0], MEMORY_PROFILES[3]], ids=str)
def test_an_expert_is_unloaded_before_the_next_is_loaded(tmp_path, monkeypatch, prompts, profile, sampling):
    model = Model(tiny_model.write_model(tmp_path / "model"), CPU, profile, sampling)
    loaded, alive = [], []

    def record(network, *rest):
        alive.append([each() is not None for each in loaded])
        loaded.append(weakref.ref(network))
        return prepare_for_device(network, *rest)

    monkeypatch.setattr("backend.paint.orbitpainter.model.prepare_for_device", record)
    denoise(model.load_expert, *random_inputs(1), prompts, sampling, lambda fraction: None)
    assert alive == [[], [False]]
    model.unload_expert()
    assert loaded[1]() is None


def test_a_first_block_cache_needs_gpu_memory_of_its_own():
    assert memory_plan.profiles_that_fit(33.8, 20, 32_768)[0] == MEMORY_PROFILES[0]
    assert memory_plan.profiles_that_fit(33.8, 64, 32_768, cached=True)[0] == STREAMED
    assert STREAMED.gpu_gigabytes(73_728, cached=True) == pytest.approx(
        0.5 + 1.42 + 73_728 * (1.1e-4 + 6 * 5120 * 2 / 1e9), rel=0.01
    )


def test_a_tiled_autoencoder_gives_nearly_the_same_images():
    torch.manual_seed(1)
    whole, tiled = (AutoencoderKLWan(**tiny_model.TINY_AUTOENCODER).eval() for _ in range(2))
    tiled.load_state_dict(whole.state_dict())
    tiled.enable_tiling()
    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, 288)], indexing="ij")
    moving = torch.stack([torch.stack([x, y, x * y]) * (1 - 0.05 * frame) for frame in range(1)], dim=1)[None]
    with torch.no_grad():
        latents = [encode_video(vae, moving) for vae in (whole, tiled)]
        images = [decode_video(vae, latents[0]) for vae in (whole, tiled)]
    for exact, approximate in (latents, images):
        assert exact.shape == approximate.shape
        assert 0 < (exact - approximate).abs().mean() < 0.1 * exact.abs().mean()


def test_only_the_smallest_memory_profiles_are_tiled(tmp_path):
    folder = tiny_model.write_model(tmp_path / "model")
    assert [profile.tiled for profile in MEMORY_PROFILES] == [False, False, False, False, True, False, True]
    assert [Model(folder, CPU, profile).load_autoencoder().use_tiling for profile in MEMORY_PROFILES] == [
        profile.tiled for profile in MEMORY_PROFILES
    ]


@pytest.mark.parametrize("columns", [128, 40])
def test_four_bit_weights_differ_by_at_most_half_a_step_of_their_group(columns):
    torch.manual_seed(4)
    layer = torch.nn.Linear(columns, 32)
    layer.weight.data[3] = 0.25  # a group whose minimum is its maximum
    packed = FourBitLinear(layer, CPU)
    size = math.gcd(GROUP_SIZE, columns)
    groups, kept = (weight.detach().unflatten(1, (-1, size)) for weight in (layer.weight, packed.weight()))
    step = (groups.amax(dim=2, keepdim=True) - groups.amin(dim=2, keepdim=True)) / 15
    assert ((groups - kept).abs() <= 0.5001 * step + 1e-6).all()
    assert (groups - kept).abs().max() > 0.45 * step.max()
    assert packed.packed.numel() == 32 * columns / 2
    inputs = torch.randn(5, columns)
    torch.testing.assert_close(packed(inputs), inputs @ packed.weight().T + layer.bias)


def test_only_the_blocks_of_a_network_are_quantized_to_four_bits():
    torch.manual_seed(5)
    wide = tiny_model.TINY_NETWORK | {"attention_head_dim": 128, "ffn_dim": 512}
    exact, small = (
        WanTransformer3DModel(in_channels=INPUT_CHANNELS, **wide).eval().bfloat16() for _ in range(2)
    )
    small.load_state_dict(exact.state_dict())
    prepare_for_device(small, MemoryProfile("4bit", False), CPU, SamplingConfig())
    sizes = [
        sum(tensor.nbytes for tensor in network.blocks.state_dict().values()) for network in (exact, small)
    ]
    assert sizes[1] < 0.3 * sizes[0]
    assert torch.equal(small.proj_out.weight, exact.proj_out.weight)
    noisy, packed = random_inputs(1)
    with torch.no_grad():
        whole, held = (
            predict_velocity(network, noisy, packed, torch.tensor([900.0]), torch.ones(1, 512, 20))
            for network in (exact, small)
        )
    assert 0 < (whole - held).abs().mean() < 0.1 * whole.abs().mean()


def test_only_resident_networks_with_many_steps_are_compiled():
    compiled = {
        (name, profile)
        for name, sampling in QUALITY_PRESETS.items()
        for profile in MEMORY_PROFILES
        if device_placement.should_compile(profile, sampling)
    }
    assert compiled == {("quality", MEMORY_PROFILES[0])}


def test_attention_backends_that_are_not_installed_are_skipped():
    assert device_placement.attention_backends((9, 0)) == ["_flash_3", "flash", "native"]
    assert (
        device_placement.attention_backends((8, 6))
        == device_placement.attention_backends((12, 0))
        == ["flash", "native"]
    )
    assert device_placement.attention_backends((7, 5)) == ["native"]
    network = experts(SamplingConfig())["high"]
    device_placement.set_attention_backend(network, "sage", "_native_math", "native")
    assert network.blocks[2].attn1.processor._attention_backend == "_native_math"
    device_placement.set_attention_backend(network, "native")


def test_counted_operations_equal_those_of_the_published_network():
    """Counted by torch on the meta device, for two clips of 61 frames of 512 x 512."""
    with torch.device("meta"):
        whole = WanTransformer3DModel(in_channels=INPUT_CHANNELS, **PUBLISHED_CONFIG)
        arguments = torch.empty(1, INPUT_CHANNELS, 33, 64, 64), torch.empty(1), torch.empty(1, 512, 4096)
        with FlopCounterMode(display=False) as counter:
            whole(*arguments)
    # The layers of the text are not counted by ours.
    assert cost_model.count_operations(PUBLISHED_CONFIG, 33 * 32 * 32) == pytest.approx(
        counter.get_total_flops(), rel=0.03
    )


def test_estimated_time_is_operations_over_speed_unless_streaming_is_slower():
    assert cost_model.count_operations(PUBLISHED_CONFIG, 33_792) == pytest.approx(1_760e12, rel=0.01)
    assert cost_model.count_operations(PUBLISHED_CONFIG, 73_728) == pytest.approx(6_249e12, rel=0.01)
    assert [cost_model.count_calls(QUALITY_PRESETS[name]) for name in ("quality", "balanced", "fast")] == [
        100,
        30 + 13,
        4,
    ]
    resident, streamed = (
        cost_model.estimate_seconds(PUBLISHED_CONFIG, 33_792, QUALITY_PRESETS["fast"], profile, 1e15)
        for profile in (MEMORY_PROFILES[0], STREAMED)
    )
    assert resident == pytest.approx(4 * 1760 / 500, rel=0.01)
    assert streamed == resident
    assert cost_model.estimate_seconds(
        PUBLISHED_CONFIG, 1_000, QUALITY_PRESETS["fast"], STREAMED, 1e15
    ) == pytest.approx(4 * 28.6 / cost_model.STREAMED_GIGABYTES_PER_SECOND)
    assert 0 < cost_model.measure_speed(CPU) < 1e14


def test_measured_speed_is_that_of_the_fastest_product(monkeypatch):
    seconds = iter([4.0, 2.0, 8.0, 3.0])
    monkeypatch.setattr(cost_model, "_time_product", lambda matrix: next(seconds))
    assert cost_model.measure_speed.__wrapped__(CPU) == 2 * 512**3 / 2


def test_a_network_with_a_cache_refuses_a_call_without_cache_context():
    """Every call has to say for which prompt it is, or one prompt's cache would be used for the other."""
    with torch.no_grad(), pytest.raises(ValueError, match="cache context"):
        predict_velocity(
            experts(ALWAYS_CACHED)["high"], *random_inputs(1), torch.tensor([900.0]), torch.zeros(1, 512, 20)
        )


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("what", ["steps", "attention"])
def test_the_orbitpainter_benchmark_runs_without_a_gpu(tmp_path, monkeypatch, what):
    monkeypatch.setattr(benchmark, "REPEATS", 1)
    monkeypatch.setattr(sys, "argv", ["benchmark", what, "--tiny", "--json", str(tmp_path / "rows.json")])
    benchmark.main()
    rows = json.loads((tmp_path / "rows.json").read_text())
    if what == "steps":
        assert {row["quality"] for row in rows} == set(QUALITY_PRESETS)
        assert {row["sparse branch"] for row in rows} == {"no", "yes"}
        assert all(row["s per call"] > 0 and row["clip min"] > 0 for row in rows)
    else:
        assert rows[0]["tokens"] == 512
        assert all(value > 0 for value in rows[0].values())
