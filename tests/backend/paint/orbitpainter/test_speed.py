"""How a film comes out sooner: skipped blocks, memory let go, profiles chosen, time foretold."""

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
    condition,
    decode,
    encode,
    predict_velocity,
)
from backend.paint.orbitpainter.painter import QUALITY_PRESETS
from backend.paint.orbitpainter.quantization import GROUP_SIZE, FourBitLinear
from backend.paint.orbitpainter.sampler import EXPERTS, Prompts, SamplingConfig, denoise
from benchmarks import orbitpainter as benchmark
from tests import tiny_model

CPU = torch.device("cpu")
ALWAYS, NEVER = SamplingConfig(steps=6, cache_threshold=1e9), SamplingConfig(steps=6, cache_threshold=0.0)
STREAMED = MemoryProfile("bf16", streamed=True)


def experts(sampling, profile=MEMORY_PROFILES[0]):
    """Two networks of three blocks, the same each time."""
    result = {}
    for seed, name in enumerate(EXPERTS):
        torch.manual_seed(seed)
        result[name] = prepare_for_device(
            WanTransformer3DModel(
                in_channels=INPUT_CHANNELS, **(tiny_model.NETWORK | {"num_layers": 3})
            ).eval(),
            profile,
            CPU,
            sampling,
        )
    return result


def counted(networks):
    """How often each block of each network has worked so far."""
    counts = {name: [0, 0, 0] for name in networks}
    for name, one in networks.items():
        for index, block in enumerate(one.blocks):

            def count(*_, own=counts[name], index=index):
                own[index] += 1

            block.ffn.register_forward_hook(count)
    return counts


def film(seed):
    random = torch.Generator().manual_seed(seed)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 4, generator=random) for _ in range(3))
    return noisy, condition(position, normal, torch.randn(1, 16, 1, 4, 4, generator=random))


@pytest.fixture(scope="module")
def prompts():
    random = torch.Generator().manual_seed(9)
    return Prompts(*(torch.randn(1, 512, tiny_model.NETWORK["text_dim"], generator=random) for _ in range(2)))


def painted(networks, seed, prompts, sampling, progress=lambda fraction: None):
    return denoise(networks.get, *film(seed), prompts, sampling, progress)


def test_blocks_that_are_never_skipped_change_nothing(prompts):
    networks = experts(NEVER)
    counts = counted(networks)
    assert torch.equal(
        painted(networks, 1, prompts, NEVER),
        painted(experts(SamplingConfig()), 1, prompts, SamplingConfig(steps=6)),
    )
    assert counts == {"high": [6, 6, 6], "low": [6, 6, 6]}


@pytest.mark.parametrize("profile", [MEMORY_PROFILES[0], STREAMED], ids=str)
def test_blocks_are_skipped_where_the_first_changes_little_each_text_for_itself(prompts, profile):
    networks = experts(ALWAYS, profile)
    counts = counted(networks)
    result = painted(networks, 1, prompts, ALWAYS)
    # Three steps each, two texts; the first step of each text is worked out whole.
    assert counts == {"high": [6, 2, 2], "low": [6, 2, 2]}
    exact = painted(experts(NEVER), 1, prompts, NEVER)
    assert 0 < (result - exact).abs().mean() < 0.5 * exact.abs().mean()
    alone = SamplingConfig(steps=6, guided=("high",), cache_threshold=1e9)
    painted(networks, 1, prompts, alone)
    assert counts == {"high": [12, 4, 4], "low": [9, 3, 3]}


def test_what_is_remembered_of_one_film_or_expert_is_never_used_in_the_next(prompts):
    networks = experts(ALWAYS)
    painted(networks, 1, prompts, ALWAYS)
    assert torch.equal(painted(networks, 2, prompts, ALWAYS), painted(experts(ALWAYS), 2, prompts, ALWAYS))

    def stopping(fraction):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        painted(networks, 1, prompts, ALWAYS, stopping)
    assert torch.equal(painted(networks, 2, prompts, ALWAYS), painted(experts(ALWAYS), 2, prompts, ALWAYS))


@pytest.mark.parametrize("sampling", [SamplingConfig(steps=4), ALWAYS], ids=["plain", "remembering"])
@pytest.mark.parametrize("profile", [MEMORY_PROFILES[0], MEMORY_PROFILES[3]], ids=str)
def test_one_expert_is_gone_before_the_next_is_loaded(tmp_path, monkeypatch, prompts, profile, sampling):
    model = Model(tiny_model.write_model(tmp_path / "model"), CPU, profile, sampling)
    seen, alive = [], []

    def watched(one, *rest):
        alive.append([each() is not None for each in seen])
        seen.append(weakref.ref(one))
        return prepare_for_device(one, *rest)

    monkeypatch.setattr("backend.paint.orbitpainter.model.prepare_for_device", watched)
    denoise(model.expert, *film(1), prompts, sampling, lambda fraction: None)
    assert alive == [[], [False]]
    model.rest()
    assert seen[1]() is None


def test_a_card_that_holds_a_film_may_not_hold_what_is_remembered_of_it_too():
    assert memory_plan.profiles_that_fit(33.8, 20, 32_768)[0] == MEMORY_PROFILES[0]
    assert memory_plan.profiles_that_fit(33.8, 64, 32_768, cached=True)[0] == STREAMED
    assert STREAMED.card(73_728, cached=True) == pytest.approx(
        0.5 + 1.42 + 73_728 * (1.1e-4 + 6 * 5120 * 2 / 1e9), rel=0.01
    )


def test_an_autoencoder_that_works_in_tiles_paints_nearly_the_same():
    torch.manual_seed(1)
    whole, tiled = (AutoencoderKLWan(**tiny_model.AUTOENCODER).eval() for _ in range(2))
    tiled.load_state_dict(whole.state_dict())
    tiled.enable_tiling()
    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, 288)], indexing="ij")
    moving = torch.stack([torch.stack([x, y, x * y]) * (1 - 0.05 * frame) for frame in range(1)], dim=1)[None]
    with torch.no_grad():
        latents = [encode(vae, moving) for vae in (whole, tiled)]
        pictures = [decode(vae, latents[0]) for vae in (whole, tiled)]
    for one, other in (latents, pictures):
        assert one.shape == other.shape
        assert 0 < (one - other).abs().mean() < 0.1 * one.abs().mean()


def test_only_the_smallest_rungs_have_tiles(tmp_path):
    folder = tiny_model.write_model(tmp_path / "model")
    assert [profile.tiled for profile in MEMORY_PROFILES] == [False, False, False, False, True, False, True]
    assert [Model(folder, CPU, profile).autoencoder().use_tiling for profile in MEMORY_PROFILES] == [
        profile.tiled for profile in MEMORY_PROFILES
    ]


@pytest.mark.parametrize("columns", [128, 40])
def test_weights_in_four_bits_are_off_by_half_a_step_of_their_group_at_most(columns):
    torch.manual_seed(4)
    layer = torch.nn.Linear(columns, 32)
    layer.weight.data[3] = 0.25  # a group without extent
    packed = FourBitLinear(layer, CPU)
    size = math.gcd(GROUP_SIZE, columns)
    groups, kept = (weight.detach().unflatten(1, (-1, size)) for weight in (layer.weight, packed.weight()))
    step = (groups.amax(dim=2, keepdim=True) - groups.amin(dim=2, keepdim=True)) / 15
    assert ((groups - kept).abs() <= 0.5001 * step + 1e-6).all()
    assert (groups - kept).abs().max() > 0.45 * step.max()
    assert packed.packed.numel() == 32 * columns / 2
    inputs = torch.randn(5, columns)
    torch.testing.assert_close(packed(inputs), inputs @ packed.weight().T + layer.bias)


def test_a_networks_blocks_rest_in_four_bits_and_what_lies_outside_does_not():
    torch.manual_seed(5)
    wide = tiny_model.NETWORK | {"attention_head_dim": 128, "ffn_dim": 512}
    exact, small = (
        WanTransformer3DModel(in_channels=INPUT_CHANNELS, **wide).eval().bfloat16() for _ in range(2)
    )
    small.load_state_dict(exact.state_dict())
    prepare_for_device(small, MemoryProfile("4bit", False), CPU, SamplingConfig())
    sizes = [sum(tensor.nbytes for tensor in one.blocks.state_dict().values()) for one in (exact, small)]
    assert sizes[1] < 0.3 * sizes[0]
    assert torch.equal(small.proj_out.weight, exact.proj_out.weight)
    noisy, packed = film(1)
    with torch.no_grad():
        whole, held = (
            predict_velocity(one, noisy, packed, torch.tensor([900.0]), torch.ones(1, 512, 20))
            for one in (exact, small)
        )
    assert 0 < (whole - held).abs().mean() < 0.1 * whole.abs().mean()


def test_only_long_films_on_whole_networks_are_compiled():
    compiled = {
        (name, profile)
        for name, sampling in QUALITY_PRESETS.items()
        for profile in MEMORY_PROFILES
        if device_placement.should_compile(profile, sampling)
    }
    assert compiled == {("quality", MEMORY_PROFILES[0])}


def test_attention_that_is_not_installed_is_passed_over():
    assert device_placement.attention_backends((9, 0)) == ["_flash_3", "flash", "native"]
    assert (
        device_placement.attention_backends((8, 6))
        == device_placement.attention_backends((12, 0))
        == ["flash", "native"]
    )
    assert device_placement.attention_backends((7, 5)) == ["native"]
    one = experts(SamplingConfig())["high"]
    device_placement.set_attention_backend(one, "sage", "_native_math", "native")
    assert one.blocks[2].attn1.processor._attention_backend == "_native_math"
    device_placement.set_attention_backend(one, "native")


def test_operations_are_those_that_are_done():
    """Counted by torch in the published network, on no device, for two films of 61 frames of 512 x 512."""
    with torch.device("meta"):
        whole = WanTransformer3DModel(in_channels=INPUT_CHANNELS, **PUBLISHED_CONFIG)
        asked = torch.empty(1, INPUT_CHANNELS, 33, 64, 64), torch.empty(1), torch.empty(1, 512, 4096)
        with FlopCounterMode(display=False) as counter:
            whole(*asked)
    # The text's own part is not foretold.
    assert cost_model.count_operations(PUBLISHED_CONFIG, 33 * 32 * 32) == pytest.approx(
        counter.get_total_flops(), rel=0.03
    )


def test_time_is_operations_over_speed_unless_streaming_takes_longer():
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
    assert 1e8 < cost_model.measure_speed(CPU) < 1e14


def test_a_network_that_remembers_and_is_asked_without_a_film_says_so():
    """Every call has to say for which text it is, or one text's blocks would serve the other."""
    with torch.no_grad(), pytest.raises(ValueError, match="cache context"):
        predict_velocity(experts(ALWAYS)["high"], *film(1), torch.tensor([900.0]), torch.zeros(1, 512, 20))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("what", ["steps", "attention"])
def test_the_benchmark_runs_without_a_gpu(tmp_path, monkeypatch, what):
    monkeypatch.setattr(benchmark, "REPEATS", 1)
    monkeypatch.setattr(sys, "argv", ["benchmark", what, "--tiny", "--json", str(tmp_path / "rows.json")])
    benchmark.main()
    rows = json.loads((tmp_path / "rows.json").read_text())
    if what == "steps":
        assert {row["quality"] for row in rows} == set(QUALITY_PRESETS)
        assert {row["sparse branch"] for row in rows} == {"no", "yes"}
        assert all(row["s per call"] > 0 and row["film min"] > 0 for row in rows)
    else:
        assert rows[0]["tokens"] == 512
        assert all(value > 0 for value in rows[0].values())
