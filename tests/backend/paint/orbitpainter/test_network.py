"""OrbitPainter: the conversion of its files, its networks, and its sampling, beside a naive
implementation."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanTransformer3DModel
from safetensors.torch import load_file, save_file

from backend.api.errors import InvalidWeights, StorageError
from backend.paint.orbitpainter import network
from backend.paint.orbitpainter.convert import convert_expert, convert_model, lora_layers
from backend.paint.orbitpainter.model import PROMPTS_FILE, Model, ModelCard
from backend.paint.orbitpainter.network import pack_condition, predict_velocity
from backend.paint.orbitpainter.sampler import Prompts, SamplingConfig, denoise, sample_noise
from tests import naive_wan, tiny_model

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny base model and its painter's files, two experts."""
    folder = tmp_path_factory.mktemp("weights")
    for expert, seed in (("high", 1), ("low", 2)):
        base = naive_wan.base_tensors(seed)
        first = dict(list(base.items())[:20])
        save_file(first, folder / f"{expert}-1.safetensors")
        save_file(
            {name: tensor for name, tensor in base.items() if name not in first},
            folder / f"{expert}-2.safetensors",
        )
        save_file(naive_wan.painter_tensors(10 + seed), folder / f"{expert}-painter.safetensors")
    return folder


def convert_and_load(files, target, expert="high", **changed):
    options = {
        "config": naive_wan.NAIVE_CONFIG,
        "rank": naive_wan.LORA_RANK,
        "dtype": torch.float32,
        "shard_size": "20KB",
    } | changed
    convert_expert(
        [files / f"{expert}-1.safetensors", files / f"{expert}-2.safetensors"],
        files / f"{expert}-painter.safetensors",
        target,
        **options,
    )
    return network.load_network(WanTransformer3DModel, target)


@pytest.fixture(scope="module")
def experts(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return {name: convert_and_load(files, folder / name, name) for name in ("high", "low")}


@pytest.fixture(scope="module")
def naive():
    return [
        naive_wan.merge_painter(naive_wan.base_tensors(seed), naive_wan.painter_tensors(10 + seed))
        for seed in (1, 2)
    ]


@pytest.fixture(scope="module")
def inputs():
    """Latents of 3 frames of 4 x 6, and two texts."""
    random = torch.Generator().manual_seed(5)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 6, generator=random) for _ in range(3))
    reference, first = (torch.randn(1, 16, 1, 4, 6, generator=random) for _ in range(2))
    texts = torch.zeros(2, 1, 512, 20)
    texts[0, 0, :5], texts[1, 0, :9] = (
        torch.randn(5, 20, generator=random),
        torch.randn(9, 20, generator=random),
    )
    return noisy, position, normal, reference, first, Prompts(*texts)


@pytest.mark.parametrize("time", [1000.0, 873.49, 92.6])
def test_a_converted_expert_equals_the_published_network(experts, naive, inputs, time):
    noisy, position, normal, reference, _, prompts = inputs
    packed = pack_condition(position, normal, reference).double()
    mine = predict_velocity(
        copy.deepcopy(experts["high"]).double(),
        noisy,
        packed,
        torch.tensor([time]),
        prompts.positive.double(),
    )
    other = naive_wan.predict_velocity(
        naive[0],
        *(part[0].double() for part in (noisy, position, normal)),
        reference[0, :, 0].double(),
        time,
        prompts.positive[0].double(),
    )
    assert other.abs().mean() > 0.1
    # diffusers works out the waves of the time in float32, where 1000 has steps of 6e-5.
    torch.testing.assert_close(mine[0].double(), other, atol=5e-5, rtol=0)


def test_the_network_uses_reference_position_and_normal_differently(experts, inputs):
    noisy, position, normal, reference, first, prompts = inputs

    def result(*parts):
        return predict_velocity(
            experts["high"], noisy, pack_condition(*parts), torch.tensor([900.0]), prompts.positive
        )

    usual = result(position, normal, reference)
    for changed in (
        result(normal, position, reference),
        result(position, normal, first),
        result(position, normal, 0 * reference),
    ):
        assert (usual - changed).abs().mean() > 0.01


def test_conversion_leaves_out_the_zero_channels_of_the_patch_embedding(files, experts, tmp_path, inputs):
    painter = load_file(files / "high-painter.safetensors")
    painter["patch_embedding.weight"][:, 32:52] = 1e3
    for name in ("high-1", "high-2"):
        save_file(load_file(files / f"{name}.safetensors"), tmp_path / f"{name}.safetensors")
    save_file(painter, tmp_path / "high-painter.safetensors")
    other = convert_and_load(tmp_path, tmp_path / "high")
    assert torch.equal(other.patch_embedding.weight, experts["high"].patch_embedding.weight)


def test_every_packed_channel_meets_its_published_weights(experts, files):
    """An impulse in each group of channels reads back the published weights."""
    published, base = load_file(files / "high-painter.safetensors"), load_file(files / "high-1.safetensors")
    base |= load_file(files / "high-2.safetensors")
    embed = experts["high"].patch_embedding
    silent = torch.zeros(1, 16, 2, 2, 2)
    for group, first in ((0, 0), (1, 16), (2, 52)):
        videos = [silent.clone() for _ in range(3)]
        videos[group][0, 5, 1, 1, 0] = 1
        noisy = torch.cat([silent[:, :, :1], videos[0]], dim=2)
        packed = torch.cat([noisy, pack_condition(videos[1], videos[2], silent[:, :, :1])], dim=1)
        seen = embed(packed)[0, :, 2, 0, 0] - embed.bias
        torch.testing.assert_close(seen, published["patch_embedding.weight"][:, first + 5, 0, 1, 0])
    reference = silent[:, :, :1].clone()
    reference[0, 7, 0, 0, 1] = 1
    packed = torch.cat([torch.zeros(1, 16, 3, 2, 2), pack_condition(silent, silent, reference)], dim=1)
    torch.testing.assert_close(
        embed(packed)[0, :, 0, 0, 0], base["ref_conv.weight"][:, 7, 0, 1] + base["ref_conv.bias"]
    )


def test_an_expert_stored_in_bfloat16_stays_close_to_the_published_one(files, naive, inputs, tmp_path):
    noisy, position, normal, reference, _, prompts = inputs
    model = convert_and_load(files, tmp_path / "high", dtype=torch.bfloat16)
    exact = {name for name, tensor in model.state_dict().items() if tensor.dtype == torch.float32}
    assert {
        "scale_shift_table",
        "blocks.1.norm2.weight",
        "condition_embedder.time_embedder.linear_1.weight",
    } <= exact
    assert model.patch_embedding.weight.dtype == model.blocks[0].ffn.net[2].weight.dtype == torch.bfloat16
    mine = predict_velocity(
        model,
        noisy,
        pack_condition(position, normal, reference).bfloat16(),
        torch.tensor([900.0]),
        prompts.positive.bfloat16(),
    )
    other = naive_wan.predict_velocity(
        naive[0],
        *(part[0].double() for part in (noisy, position, normal)),
        reference[0, :, 0].double(),
        900.0,
        prompts.positive[0].double(),
    )
    assert (mine[0] - other).abs().mean() < 0.02 * other.abs().mean()


def test_the_full_size_painter_has_802_tensors_and_14_billion_parameters():
    with torch.device("meta"):
        model = WanTransformer3DModel(in_channels=network.INPUT_CHANNELS, **network.PUBLISHED_CONFIG)
    assert sum(tensor.numel() for tensor in model.parameters()) == pytest.approx(14.2895e9, rel=1e-4)
    assert 2 * len(list(lora_layers(len(model.blocks)))) + 2 == 802


def remove(name):
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("high-1", remove("ref_conv.weight"), ("high-1.safetensors", "'ref_conv.weight' is missing")),
        (
            "high-2",
            remove("blocks.1.ffn.2.bias"),
            ("high-2.safetensors", "blocks.1.ffn.net.2.bias", "missing"),
        ),
        (
            "high-1",
            lambda tensors: tensors | {"img_emb.proj.0.weight": torch.zeros(3)},
            ("'img_emb.proj.0.weight' is unknown",),
        ),
        (
            "high-1",
            lambda tensors: tensors | {"head.head.bias": torch.zeros(63)},
            ("'head.head.bias' has the shape (63,) instead of (64,)",),
        ),
        (
            "high-1",
            lambda tensors: tensors | {"head.head.bias": torch.zeros(64, dtype=torch.int8)},
            ("'head.head.bias' has the type I8",),
        ),
        (
            "high-1",
            lambda tensors: tensors | {"blocks.1.ffn.2.bias": torch.zeros(48)},
            ("'blocks.1.ffn.2.bias' is in",),
        ),
        (
            "high-painter",
            remove("blocks.0.cross_attn.v.lora_A.default.weight"),
            ("high-painter.safetensors", "'blocks.0.cross_attn.v.lora_A.default.weight' is missing"),
        ),
        (
            "high-painter",
            lambda tensors: tensors | {"blocks.0.self_attn.q.alpha": torch.ones(1)},
            ("'blocks.0.self_attn.q.alpha' is unknown",),
        ),
        (
            "high-painter",
            lambda tensors: tensors | {"blocks.0.ffn.0.lora_A.default.weight": torch.zeros(8, 48)},
            ("'blocks.0.ffn.0.lora_A.default.weight' has the shape (8, 48) instead of (4, 48)",),
        ),
    ],
)
def test_a_wrong_file_is_reported_with_its_tensor_and_changes_nothing(files, tmp_path, file, change, words):
    for name in ("high-1", "high-2", "high-painter"):
        tensors = load_file(files / f"{name}.safetensors")
        save_file(change(tensors) if name == file else tensors, tmp_path / f"{name}.safetensors")
    (tmp_path / "high").mkdir()
    (tmp_path / "high" / "kept").touch()
    with pytest.raises(InvalidWeights) as caught:
        convert_and_load(tmp_path, tmp_path / "high")
    for word in words:
        assert word in caught.value.message
    assert [path.name for path in (tmp_path / "high").iterdir()] == ["kept"]


@pytest.mark.parametrize("damage", ["cut", "absent"])
def test_an_incomplete_file_is_reported_with_its_name(files, tmp_path, damage):
    for name in ("high-1", "high-2", "high-painter"):
        whole = (files / f"{name}.safetensors").read_bytes()
        if name != "high-2":
            (tmp_path / f"{name}.safetensors").write_bytes(whole)
        elif damage == "cut":
            (tmp_path / f"{name}.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidWeights, match=r"high-2.safetensors is (missing|not a whole safetensors file)"):
        convert_and_load(tmp_path, tmp_path / "high")


def conversion_arguments(files, tmp_path):
    """The arguments of a whole model's conversion."""
    for name in ("high", "low"):
        (tmp_path / name).mkdir()
        for part in (1, 2):
            (tmp_path / name / f"{part}.safetensors").write_bytes(
                (files / f"{name}-{part}.safetensors").read_bytes()
            )
    tiny_model.write_model(tmp_path / "tiny")
    return (
        {name: tmp_path / name for name in ("high", "low")},
        {name: files / f"{name}-painter.safetensors" for name in ("high", "low")},
        tmp_path / "tiny" / "vae",
        tmp_path / "tiny" / PROMPTS_FILE,
        tmp_path / "models" / "orbitpainter",
        ModelCard(size=32, frames=61),
    )


def test_a_converted_model_is_a_folder_that_the_painter_reads(files, experts, tmp_path):
    reports = []
    convert_model(
        *conversion_arguments(files, tmp_path),
        lambda *what: reports.append(what),
        **naive_wan.CONVERT_OPTIONS,
        dtype=torch.float32,
    )
    model = Model(tmp_path / "models" / "orbitpainter", torch.device("cpu"))
    model.check()
    assert model.card == ModelCard(size=32, frames=61)
    for name in ("low", "high"):
        pairs = zip(model.load_expert(name).parameters(), experts[name].parameters(), strict=True)
        assert all(torch.equal(mine, other) for mine, other in pairs)
    assert {what for what, _ in reports} == {"high", "low"}
    assert reports[-1] == ("low", 1)


def test_a_failed_conversion_leaves_the_earlier_model(files, tmp_path):
    base, painter, vae, prompts, target, card = conversion_arguments(files, tmp_path)
    convert_model(base, painter, vae, prompts, target, card, lambda *what: None, **naive_wan.CONVERT_OPTIONS)
    with pytest.raises(InvalidWeights, match="low-painter"):
        convert_model(
            base,
            painter | {"low": files / "no-low-painter.safetensors"},
            vae,
            prompts,
            target,
            card,
            lambda *what: None,
            **naive_wan.CONVERT_OPTIONS,
        )
    with pytest.raises(InvalidWeights, match="holds no model"):
        convert_model(
            base,
            painter,
            tmp_path / "nowhere",
            prompts,
            target,
            card,
            lambda *what: None,
            **naive_wan.CONVERT_OPTIONS,
        )
    Model(target, torch.device("cpu")).check()


def test_a_full_disk_is_reported_and_leaves_no_incomplete_model(files, tmp_path, disk):
    *given, _, card = conversion_arguments(files, tmp_path)
    place = disk("size=100k")
    (place / "orbitpainter").mkdir()
    (place / "orbitpainter" / "kept").touch()
    with pytest.raises(StorageError, match="disk is full"):
        convert_model(*given, place / "orbitpainter", card, lambda *what: None, **naive_wan.CONVERT_OPTIONS)
    assert [path.relative_to(place).as_posix() for path in place.rglob("*")] == [
        "orbitpainter",
        "orbitpainter/kept",
    ]


def test_a_folder_without_weights_is_reported_with_its_name(files, tmp_path):
    base, *rest = conversion_arguments(files, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidWeights, match=r"empty holds no .safetensors file"):
        convert_model(
            base | {"low": tmp_path / "empty"}, *rest, lambda *what: None, **naive_wan.CONVERT_OPTIONS
        )


CONVERT_AND_MEASURE = """
import sys, threading, time, torch
from pathlib import Path
from safetensors.torch import save_file
from backend.paint.orbitpainter.convert import convert_expert
from tests import naive_wan

# A base model and its painter's file of 600 MB, most of it in the feed-forward layers.
folder, width = Path(sys.argv[1]), 1_500_000
naive_wan.NAIVE_CONFIG |= {"ffn_dim": width}
base, painter = naive_wan.base_tensors(1), naive_wan.painter_tensors(3)
for block in range(2):
    for name, shape in {"0.weight": (width, 48), "0.bias": (width,), "2.weight": (48, width)}.items():
        base[f"blocks.{block}.ffn.{name}"] = torch.zeros(shape, dtype=torch.bfloat16)
    painter[f"blocks.{block}.ffn.0.lora_B.default.weight"] = torch.zeros(width, 4)
    painter[f"blocks.{block}.ffn.2.lora_A.default.weight"] = torch.zeros(4, width)
save_file(base, folder / "base.safetensors")
save_file(painter, folder / "painter.safetensors")
del base, painter

def anonymous_megabytes():
    status = open("/proc/self/status")
    return int(next(line for line in status if line.startswith("RssAnon")).split()[1]) / 1024

# The peak while it is converted.
start, peak, done = anonymous_megabytes(), 0, False
def watch():
    global peak
    while not done:
        peak = max(peak, anonymous_megabytes())
        time.sleep(0.002)
thread = threading.Thread(target=watch)
thread.start()
files = [folder / "base.safetensors"], folder / "painter.safetensors", folder / "out"
convert_expert(*files, naive_wan.NAIVE_CONFIG, 4, shard_size="100MB")
done = True
thread.join()
print(peak - start, sum(file.stat().st_size for file in (folder / "out").iterdir()) / 2**20)
"""
"""Prints by how many MB a process's anonymous memory grows while it converts a model, and the model's MB."""


def test_conversion_needs_the_memory_of_a_shard_not_of_the_model(tmp_path):
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CONVERT_AND_MEASURE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    peak, size = map(float, done.stdout.split())
    print(f"\n{size:.0f} MB converted with {peak:.0f} MB")
    assert size > 500
    assert peak < 800


def test_noise_levels_are_the_published_ones_not_the_default_of_diffusers():
    sigmas = SamplingConfig().sigmas()
    assert sigmas[0] == 1
    assert sigmas[-1] == 0
    torch.testing.assert_close(
        sigmas[1:4], torch.tensor([0.99593, 0.99174, 0.98739], dtype=torch.float64), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        sigmas[-4:-1], torch.tensor([0.24194, 0.17241, 0.09259], dtype=torch.float64), atol=1e-5, rtol=0
    )
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5)
    scheduler.set_timesteps(sigmas=[1 - i / 50 for i in range(50)])
    torch.testing.assert_close(sigmas.float(), scheduler.sigmas, atol=1e-6, rtol=0)
    scheduler.set_timesteps(50)
    assert (sigmas.float() - scheduler.sigmas).abs().max() > 0.05


def test_the_first_21_of_50_steps_belong_to_the_expert_for_high_noise():
    sampling = SamplingConfig()
    assert [sampling.expert_at(sigma) for sigma in sampling.sigmas().tolist()[:-1]] == ["high"] * 21 + [
        "low"
    ] * 29


@pytest.mark.parametrize(("time", "rounded"), [(937.5, 936), (898.88, 900), (890.80, 892), (873.49, 872)])
def test_timesteps_can_be_rounded_as_in_training(time, rounded):
    assert SamplingConfig(round_timesteps=True).timestep(time / 1000) == rounded
    assert SamplingConfig().timestep(time / 1000) == pytest.approx(time)


@pytest.mark.parametrize("injected", [False, True])
def test_ten_guided_steps_of_two_experts_equal_the_naive_loop(experts, naive, inputs, injected):
    noisy, position, normal, reference, first, prompts = inputs
    fractions, shown = [], []
    mine = denoise(
        experts.get,
        noisy,
        pack_condition(position, normal, reference),
        prompts,
        SamplingConfig(steps=10),
        fractions.append,
        first if injected else None,
        shown.append,
    )
    assert len(shown) == 10
    torch.testing.assert_close(shown[-1], mine)
    other, experts_used = naive_wan.sample_clip(
        naive,
        *(part[0].double() for part in (noisy, position, normal)),
        reference[0, :, 0].double(),
        prompts.positive[0].double(),
        prompts.negative[0].double(),
        10,
        6.0,
        first[0, :, 0].double() if injected else None,
    )
    assert experts_used == "HHHHHLLLLL"
    assert fractions[-1] == 1
    assert other.abs().mean() > 0.3
    torch.testing.assert_close(mine[0].double(), other, atol=2e-4, rtol=0)


def test_an_injected_first_frame_stays_fixed_and_changes_the_others(experts, inputs):
    noisy, position, normal, reference, first, prompts = inputs
    packed, sampling = pack_condition(position, normal, reference), SamplingConfig(steps=3)
    first_result, other_result = (
        denoise(experts.get, noisy, packed, prompts, sampling, lambda fraction: None, frame)
        for frame in (first, -first)
    )
    assert torch.equal(first_result[:, :, :1], first)
    assert (first_result[:, :, 1:] - other_result[:, :, 1:]).abs().mean() > 1e-3


def test_sampling_without_guidance_never_uses_the_negative_prompt(experts, inputs):
    noisy, position, normal, reference, _, prompts = inputs
    names = []

    def load_expert(name):
        names.append(name)
        return experts[name]

    broken = Prompts(prompts.positive, torch.full_like(prompts.negative, torch.nan))
    packed = pack_condition(position, normal, reference)

    def sample(**changes):
        sampling = SamplingConfig(steps=4, **changes)
        return denoise(load_expert, noisy, packed, broken, sampling, lambda fraction: None)

    assert sample(guidance=1.0).isfinite().all()
    assert sample(guided=()).isfinite().all()
    assert sample(guided=("low",)).isnan().all()
    assert names[:4] == ["high", "high", "low", "low"]


def test_a_seed_gives_the_same_noise_on_every_machine():
    torch.testing.assert_close(
        sample_noise((1, 16, 2, 2, 2), 3).flatten()[:3],
        torch.tensor([-0.0766, 0.3599, -0.7820]),
        atol=1e-4,
        rtol=0,
    )
    assert not torch.equal(sample_noise((4,), 3), sample_noise((4,), 4))
