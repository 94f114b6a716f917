"""Tests that need a GPU: with every memory profile and quality the networks paint there what a CPU paints.

Skipped where there is none. The networks are as small as in the other tests, but heads have 128 channels, for
which attention kernels are made.
"""

from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backend.paint.orbitpainter import cost_model, distilled_lora, flex_attention, gasa
from backend.paint.orbitpainter.memory_plan import MEMORY_PROFILES
from backend.paint.orbitpainter.model import Model
from backend.paint.orbitpainter.network import lora_layers, pack_condition
from backend.paint.orbitpainter.painter import QUALITY_PRESETS
from backend.paint.orbitpainter.sampler import EXPERT_NAMES, SamplingConfig, denoise
from backend.refine.trellis2.autoencoder import AutoencoderConfig, Decoder, Encoder
from backend.refine.trellis2.flow import Flow, FlowConfig
from backend.refine.trellis2.sparse import build_levels
from tests import tiny_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

HIDDEN_WIDTH = 256
"""Channels of a token: two heads."""

HEAD_WIDTH = 128
"""Channels of a head."""

FEED_FORWARD_WIDTH = 512
"""Channels of the feed-forward layers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of three blocks, with a four-step LoRA."""
    target = tmp_path_factory.mktemp("model")
    sizes = {"attention_head_dim": HEAD_WIDTH, "ffn_dim": FEED_FORWARD_WIDTH, "num_layers": 3}
    tiny_model.write_model(target, tiny_model.TINY_NETWORK | sizes)
    random, tensors = torch.Generator().manual_seed(3), {}
    for layer in lora_layers(3):
        out_features, in_features = {
            "ffn.0": (FEED_FORWARD_WIDTH, HIDDEN_WIDTH),
            "ffn.2": (HIDDEN_WIDTH, FEED_FORWARD_WIDTH),
        }.get(layer.partition(".")[2].partition(".")[2], (HIDDEN_WIDTH, HIDDEN_WIDTH))
        tensors[f"{layer}.lora_A.weight"] = torch.randn(4, in_features, generator=random) / 16
        tensors[f"{layer}.lora_B.weight"] = torch.randn(out_features, 4, generator=random) / 16
    for name in EXPERT_NAMES:
        save_file(tensors, target / distilled_lora.LORA_FILES[name])
    return target


def denoise_on(folder, device, profile, sampling):
    random = torch.Generator().manual_seed(1)
    noisy, position, normal = (torch.randn(1, 16, 5, 8, 8, generator=random).to(device) for _ in range(3))
    packed = pack_condition(position, normal, torch.randn(1, 16, 1, 8, 8, generator=random).to(device))
    model = Model(folder, torch.device(device), profile, sampling)
    return denoise(
        model.load_expert, noisy, packed, model.load_prompts(), sampling, lambda fraction: None
    ).cpu()


@pytest.mark.parametrize(
    ("quality", "profile"), list(product(QUALITY_PRESETS, MEMORY_PROFILES)), ids=lambda value: str(value)
)
def test_every_profile_and_quality_paints_on_a_gpu_what_a_cpu_paints(folder, quality, profile):
    """Which blocks the cache skips may differ where a change lies at the threshold, so nothing is skipped
    here."""
    sampling = QUALITY_PRESETS[quality]
    if sampling.caches_blocks:
        sampling = SamplingConfig(steps=8, guided=sampling.guided, cache_threshold=0.0)
    on_gpu, on_cpu = (denoise_on(folder, device, profile, sampling) for device in ("cuda", "cpu"))
    assert on_gpu.isfinite().all()
    assert (on_gpu - on_cpu).abs().mean() < 0.1 * on_cpu.abs().mean()


@pytest.mark.parametrize("profile", MEMORY_PROFILES, ids=str)
def test_the_first_block_cache_works_with_streaming_too(folder, profile):
    whole, skipped = (
        denoise_on(folder, "cuda", profile, SamplingConfig(steps=8, cache_threshold=below))
        for below in (0.0, 1e9)
    )
    assert skipped.isfinite().all()
    assert not torch.equal(whole, skipped)


@pytest.mark.parametrize("seed", [0, 1])
def test_compiled_block_attention_equals_gathered_attention(seed):
    random = np.random.default_rng(seed)
    voxel, frame = (
        random.integers(0, 24, (2_100, 3)).astype(np.int32),
        np.repeat(np.arange(21, dtype=np.int32), 100),
    )
    voxel[random.random(2_100) < 0.3] = -1
    neighbours = gasa.find_neighbours(voxel, frame)
    query, key, value = (
        torch.randn(2_100, 2, HEAD_WIDTH, generator=torch.Generator().manual_seed(part)) for part in range(3)
    )
    exact = neighbours.attend(query, key, value)
    for kind, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 5e-2)):
        mine = flex_attention.build_block_attention(voxel, frame, neighbours, torch.device("cuda")).attend(
            *(part.to("cuda", kind) for part in (query, key, value))
        )
        torch.testing.assert_close(mine.float().cpu(), exact, atol=tolerance, rtol=0)
        assert (mine.cpu()[neighbours.indptr.diff() == 0] == 0).all()


def test_the_measured_speed_of_a_gpu_is_plausible():
    assert 1e12 < cost_model.measure_speed(torch.device("cuda")) < 1e16


@pytest.mark.parametrize(
    ("kind", "widths", "half", "tolerance"),
    [
        (
            Encoder,
            AutoencoderConfig(latent=8, channels=(16, 32, 64, 128, 256), blocks=(0, 1, 1, 1, 1)),
            torch.float16,
            2e-2,
        ),
        (
            Decoder,
            AutoencoderConfig(latent=8, channels=(16, 32, 64, 128, 256), blocks=(0, 1, 1, 1, 1)),
            torch.float16,
            5e-2,
        ),
        (
            Flow,
            FlowConfig(inputs=16, outputs=8, width=256, condition=32, blocks=2, heads=2, hidden=512),
            torch.bfloat16,
            5e-2,
        ),
    ],
)
def test_trellis_networks_give_on_a_gpu_what_a_cpu_gives(kind, widths, half, tolerance):
    torch.manual_seed(0)
    network = kind(widths, torch.float32).requires_grad_(False)
    cells = torch.unique(torch.randint(0, 40, (3_000, 3)), dim=0)
    count = len(build_levels(cells)[-1])

    def evaluate(device, dtype):
        copy, grid = kind(widths, dtype).to(device), build_levels(cells.to(device))
        copy.load_state_dict(network.state_dict())
        random = torch.Generator().manual_seed(1)
        if kind is Flow:
            x, condition = (
                torch.randn(count, 16, generator=random).to(device),
                torch.randn(50, 32, generator=random).to(device),
            )
            return copy(x, 0.3, grid[-1].coords, condition).detach().cpu()
        return (
            copy(
                torch.randn(
                    len(cells) if kind is Encoder else count, 6 if kind is Encoder else 8, generator=random
                ).to(device),
                grid,
            )
            .detach()
            .cpu()
        )

    other = evaluate("cpu", torch.float32)
    for dtype, allowed in (
        (torch.float32, 1e-2),
        (half, tolerance),
    ):  # float32 products may be rounded to TF32
        torch.testing.assert_close(evaluate("cuda", dtype), other, atol=allowed * float(other.std()), rtol=0)
