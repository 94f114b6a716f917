"""How a film comes out sooner: skipped blocks, memory let go, rungs chosen, time foretold."""

import json
import math
import sys
import weakref

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch.utils.flop_counter import FlopCounterMode

from backend.paint.orbitpainter import cost_model, device_placement, memory_plan
from backend.paint.orbitpainter.device_placement import placed
from backend.paint.orbitpainter.memory_plan import RUNGS, Rung
from backend.paint.orbitpainter.model import Model
from backend.paint.orbitpainter.network import PACKED, PUBLISHED, condition, decode, encode, velocity
from backend.paint.orbitpainter.painter import QUALITY
from backend.paint.orbitpainter.quantization import GROUP, FourBitLinear
from backend.paint.orbitpainter.sampler import EXPERTS, Prompts, Sampling, denoise
from benchmarks import orbitpainter as benchmark
from tests import tiny_model

CPU = torch.device("cpu")
ALWAYS, NEVER = Sampling(steps=6, skipped_below=1e9), Sampling(steps=6, skipped_below=0.0)
STREAMED = Rung("bf16", streamed=True)


def experts(sampling, rung=RUNGS[0]):
    """Two networks of three blocks, the same each time."""
    result = {}
    for seed, name in enumerate(EXPERTS):
        torch.manual_seed(seed)
        result[name] = placed(
            WanTransformer3DModel(in_channels=PACKED, **(tiny_model.NETWORK | {"num_layers": 3})).eval(),
            rung,
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
        painted(networks, 1, prompts, NEVER), painted(experts(Sampling()), 1, prompts, Sampling(steps=6))
    )
    assert counts == {"high": [6, 6, 6], "low": [6, 6, 6]}


@pytest.mark.parametrize("rung", [RUNGS[0], STREAMED], ids=str)
def test_blocks_are_skipped_where_the_first_changes_little_each_text_for_itself(prompts, rung):
    networks = experts(ALWAYS, rung)
    counts = counted(networks)
    result = painted(networks, 1, prompts, ALWAYS)
    # Three steps each, two texts; the first step of each text is worked out whole.
    assert counts == {"high": [6, 2, 2], "low": [6, 2, 2]}
    exact = painted(experts(NEVER), 1, prompts, NEVER)
    assert 0 < (result - exact).abs().mean() < 0.5 * exact.abs().mean()
    alone = Sampling(steps=6, guided=("high",), skipped_below=1e9)
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


@pytest.mark.parametrize("sampling", [Sampling(steps=4), ALWAYS], ids=["plain", "remembering"])
@pytest.mark.parametrize("rung", [RUNGS[0], RUNGS[3]], ids=str)
def test_one_expert_is_gone_before_the_next_is_loaded(tmp_path, monkeypatch, prompts, rung, sampling):
    model = Model(tiny_model.write_model(tmp_path / "model"), CPU, rung, sampling)
    seen, alive = [], []

    def watched(one, *rest):
        alive.append([each() is not None for each in seen])
        seen.append(weakref.ref(one))
        return placed(one, *rest)

    monkeypatch.setattr("backend.paint.orbitpainter.model.placed", watched)
    denoise(model.expert, *film(1), prompts, sampling, lambda fraction: None)
    assert alive == [[], [False]]
    model.rest()
    assert seen[1]() is None


def test_a_card_that_holds_a_film_may_not_hold_what_is_remembered_of_it_too():
    assert memory_plan.fitting(33.8, 20, 32_768)[0] == RUNGS[0]
    assert memory_plan.fitting(33.8, 64, 32_768, remembered=True)[0] == STREAMED
    assert STREAMED.card(73_728, remembered=True) == pytest.approx(
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
    assert [rung.tiled for rung in RUNGS] == [False, False, False, False, True, False, True]
    assert [Model(folder, CPU, rung).autoencoder().use_tiling for rung in RUNGS] == [
        rung.tiled for rung in RUNGS
    ]


@pytest.mark.parametrize("columns", [128, 40])
def test_weights_in_four_bits_are_off_by_half_a_step_of_their_group_at_most(columns):
    torch.manual_seed(4)
    layer = torch.nn.Linear(columns, 32)
    layer.weight.data[3] = 0.25  # a group without extent
    packed = FourBitLinear(layer, CPU)
    size = math.gcd(GROUP, columns)
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
    exact, small = (WanTransformer3DModel(in_channels=PACKED, **wide).eval().bfloat16() for _ in range(2))
    small.load_state_dict(exact.state_dict())
    placed(small, Rung("4bit", False), CPU, Sampling())
    sizes = [sum(tensor.nbytes for tensor in one.blocks.state_dict().values()) for one in (exact, small)]
    assert sizes[1] < 0.3 * sizes[0]
    assert torch.equal(small.proj_out.weight, exact.proj_out.weight)
    noisy, packed = film(1)
    with torch.no_grad():
        whole, held = (
            velocity(one, noisy, packed, torch.tensor([900.0]), torch.ones(1, 512, 20))
            for one in (exact, small)
        )
    assert 0 < (whole - held).abs().mean() < 0.1 * whole.abs().mean()


def test_only_long_films_on_whole_networks_are_compiled():
    compiled = {
        (name, rung)
        for name, sampling in QUALITY.items()
        for rung in RUNGS
        if device_placement.compilable(rung, sampling)
    }
    assert compiled == {("quality", RUNGS[0])}


def test_attention_that_is_not_installed_is_passed_over():
    assert device_placement.quickest_attention((9, 0)) == ["_flash_3", "flash", "native"]
    assert (
        device_placement.quickest_attention((8, 6))
        == device_placement.quickest_attention((12, 0))
        == ["flash", "native"]
    )
    assert device_placement.quickest_attention((7, 5)) == ["native"]
    one = experts(Sampling())["high"]
    device_placement.attend_with(one, "sage", "_native_math", "native")
    assert one.blocks[2].attn1.processor._attention_backend == "_native_math"
    device_placement.attend_with(one, "native")


def test_operations_are_those_that_are_done():
    """Counted by torch in the published network, on no device, for two films of 61 frames of 512 x 512."""
    with torch.device("meta"):
        whole = WanTransformer3DModel(in_channels=PACKED, **PUBLISHED)
        asked = torch.empty(1, PACKED, 33, 64, 64), torch.empty(1), torch.empty(1, 512, 4096)
        with FlopCounterMode(display=False) as counter:
            whole(*asked)
    # The text's own part is not foretold.
    assert cost_model.operations(PUBLISHED, 33 * 32 * 32) == pytest.approx(
        counter.get_total_flops(), rel=0.03
    )


def test_time_is_operations_over_speed_unless_streaming_takes_longer():
    assert cost_model.operations(PUBLISHED, 33_792) == pytest.approx(1_760e12, rel=0.01)
    assert cost_model.operations(PUBLISHED, 73_728) == pytest.approx(6_249e12, rel=0.01)
    assert [cost_model.calls(QUALITY[name]) for name in ("quality", "balanced", "fast")] == [100, 30 + 13, 4]
    resident, streamed = (
        cost_model.seconds(PUBLISHED, 33_792, QUALITY["fast"], rung, 1e15) for rung in (RUNGS[0], STREAMED)
    )
    assert resident == pytest.approx(4 * 1760 / 500, rel=0.01)
    assert streamed == resident
    assert cost_model.seconds(PUBLISHED, 1_000, QUALITY["fast"], STREAMED, 1e15) == pytest.approx(
        4 * 28.6 / cost_model.STREAMED_GIGABYTES
    )
    assert 1e8 < cost_model.speed(CPU) < 1e14


def test_a_network_that_remembers_and_is_asked_without_a_film_says_so():
    """Every call has to say for which text it is, or one text's blocks would serve the other."""
    with torch.no_grad(), pytest.raises(ValueError, match="cache context"):
        velocity(experts(ALWAYS)["high"], *film(1), torch.tensor([900.0]), torch.zeros(1, 512, 20))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("what", ["steps", "attention"])
def test_the_benchmark_runs_without_a_gpu(tmp_path, monkeypatch, what):
    monkeypatch.setattr(benchmark, "REPEATS", 1)
    monkeypatch.setattr(sys, "argv", ["benchmark", what, "--tiny", "--json", str(tmp_path / "rows.json")])
    benchmark.main()
    rows = json.loads((tmp_path / "rows.json").read_text())
    if what == "steps":
        assert {row["quality"] for row in rows} == set(QUALITY)
        assert {row["sparse branch"] for row in rows} == {"no", "yes"}
        assert all(row["s per call"] > 0 and row["film min"] > 0 for row in rows)
    else:
        assert rows[0]["tokens"] == 512
        assert all(value > 0 for value in rows[0].values())
