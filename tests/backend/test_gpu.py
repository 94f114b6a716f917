"""What only a GPU can show: every way of holding and hurrying the networks works there and paints what a CPU
paints.

Skipped where there is none. The networks are as small as ever, but heads have 128 channels, for which
attention kernels are made.
"""

from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backend.paint.orbitpainter import cost_model, distilled_lora, flex_attention, gasa
from backend.paint.orbitpainter.memory_plan import RUNGS
from backend.paint.orbitpainter.model import Model
from backend.paint.orbitpainter.network import adapted_layers, condition
from backend.paint.orbitpainter.painter import QUALITY
from backend.paint.orbitpainter.sampler import EXPERTS, Sampling, denoise
from backend.refine.trellis2.autoencoder import AutoencoderConfig, Decoder, Encoder
from backend.refine.trellis2.flow import Flow, FlowConfig
from backend.refine.trellis2.sparse import build_levels
from tests import tiny_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

WIDTH, HEAD, FEED = 256, 128, 512


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of three blocks, with a four-step LoRA."""
    target = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tiny_model,
            "NETWORK",
            tiny_model.NETWORK | {"attention_head_dim": HEAD, "ffn_dim": FEED, "num_layers": 3},
        )
        tiny_model.write_model(target)
    random, tensors = torch.Generator().manual_seed(3), {}
    for layer in adapted_layers(3):
        outwards, inwards = {"ffn.0": (FEED, WIDTH), "ffn.2": (WIDTH, FEED)}.get(
            layer.partition(".")[2].partition(".")[2], (WIDTH, WIDTH)
        )
        tensors[f"{layer}.lora_A.weight"] = torch.randn(4, inwards, generator=random) / 16
        tensors[f"{layer}.lora_B.weight"] = torch.randn(outwards, 4, generator=random) / 16
    for name in EXPERTS:
        save_file(tensors, target / distilled_lora.FILES[name])
    return target


def painted(folder, device, rung, sampling):
    random = torch.Generator().manual_seed(1)
    noisy, position, normal = (torch.randn(1, 16, 5, 8, 8, generator=random).to(device) for _ in range(3))
    packed = condition(position, normal, torch.randn(1, 16, 1, 8, 8, generator=random).to(device))
    model = Model(folder, torch.device(device), rung, sampling)
    return denoise(model.expert, noisy, packed, model.prompts(), sampling, lambda fraction: None).cpu()


@pytest.mark.parametrize(("quality", "rung"), list(product(QUALITY, RUNGS)), ids=lambda value: str(value))
def test_every_rung_and_quality_paints_there_what_a_cpu_paints(folder, quality, rung):
    """Compiled where it is; what is skipped may differ where a change lies at the limit, so nothing is
    skipped here."""
    sampling = QUALITY[quality]
    if sampling.skipped_below is not None:
        sampling = Sampling(steps=8, guided=sampling.guided, skipped_below=0.0)
    mine, other = (painted(folder, device, rung, sampling) for device in ("cuda", "cpu"))
    assert mine.isfinite().all()
    assert (mine - other).abs().mean() < 0.1 * other.abs().mean()


@pytest.mark.parametrize("rung", RUNGS, ids=str)
def test_skipping_works_with_streams_too(folder, rung):
    whole, skipped = (
        painted(folder, "cuda", rung, Sampling(steps=8, skipped_below=below)) for below in (0.0, 1e9)
    )
    assert skipped.isfinite().all()
    assert not torch.equal(whole, skipped)


@pytest.mark.parametrize("seed", [0, 1])
def test_compiled_attention_by_blocks_is_gathered_attention(seed):
    random = np.random.default_rng(seed)
    voxel, frame = (
        random.integers(0, 24, (2_100, 3)).astype(np.int32),
        np.repeat(np.arange(21, dtype=np.int32), 100),
    )
    voxel[random.random(2_100) < 0.3] = -1
    near = gasa.neighbours(voxel, frame)
    query, key, value = (
        torch.randn(2_100, 2, HEAD, generator=torch.Generator().manual_seed(part)) for part in range(3)
    )
    exact = near.attend(query, key, value)
    for kind, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 5e-2)):
        mine = flex_attention.blocks(voxel, frame, near, torch.device("cuda")).attend(
            *(part.to("cuda", kind) for part in (query, key, value))
        )
        torch.testing.assert_close(mine.float().cpu(), exact, atol=tolerance, rtol=0)
        assert (mine.cpu()[near.first.diff() == 0] == 0).all()


def test_a_card_is_faster_than_nothing():
    assert 1e12 < cost_model.speed(torch.device("cuda")) < 1e16


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
def test_the_refinements_networks_give_there_what_a_cpu_gives(kind, widths, half, tolerance):
    torch.manual_seed(0)
    network = kind(widths, torch.float32).requires_grad_(False)
    cells = torch.unique(torch.randint(0, 40, (3_000, 3)), dim=0)
    count = len(build_levels(cells)[-1])

    def given(device, dtype):
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

    other = given("cpu", torch.float32)
    for dtype, allowed in (
        (torch.float32, 1e-2),
        (half, tolerance),
    ):  # float32 products may be rounded to TF32
        torch.testing.assert_close(given("cuda", dtype), other, atol=allowed * float(other.std()), rtol=0)
