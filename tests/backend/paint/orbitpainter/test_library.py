"""OrbitPainter beside the library that it is built on: what diffusers' own pipeline makes of the same
networks."""

import copy

import pytest
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

from backend.paint.orbitpainter.network import INPUT_CHANNELS, load_network, pack_condition
from backend.paint.orbitpainter.sampler import Prompts, SamplingConfig, denoise
from tests import tiny_model


class SelfConditioned(WanTransformer3DModel):
    """A network that adds the condition itself, so that a pipeline may call it with noise alone."""

    def forward(self, hidden_states, *arguments, **named):
        packed = torch.cat(
            [torch.nn.functional.pad(hidden_states, (0, 0, 0, 0, 1, 0)), self.condition], dim=1
        )
        [result] = super().forward(packed, *arguments, **named | {"return_dict": False})
        return (result[:, :, 1:],)


@pytest.fixture(scope="module")
def experts():
    torch.manual_seed(0)
    return {
        name: SelfConditioned(in_channels=INPUT_CHANNELS, **tiny_model.TINY_NETWORK).eval()
        for name in ("high", "low")
    }


@pytest.fixture(scope="module")
def inputs():
    """Noise of 3 latent frames of 4 x 6, the condition, a first frame, and two texts."""
    random = torch.Generator().manual_seed(3)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 6, generator=random) for _ in range(3))
    reference, first = (torch.randn(1, 16, 1, 4, 6, generator=random) for _ in range(2))
    texts = torch.zeros(2, 1, 512, tiny_model.TINY_NETWORK["text_dim"])
    texts[0, 0, :5], texts[1, 0, :9] = (
        torch.randn(5, 20, generator=random),
        torch.randn(9, 20, generator=random),
    )
    return noisy, pack_condition(position, normal, reference), first, Prompts(*texts)


@pytest.mark.parametrize("injected", [False, True])
def test_the_pipeline_of_diffusers_makes_the_same_latents(experts, inputs, injected):
    noisy, packed, first, prompts = inputs
    steps = 8
    for expert in experts.values():
        expert.condition = packed
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    # Its own default ends the grid of noise levels elsewhere.
    scheduler.sigma_min = 1 / steps
    pipeline = WanPipeline(
        None,
        None,
        AutoencoderKLWan(**tiny_model.TINY_AUTOENCODER),
        scheduler,
        experts["high"],
        experts["low"],
        0.875,
    )
    pipeline.set_progress_bar_config(disable=True)

    def inject(pipeline, step, time, tensors):
        return {"latents": torch.cat([first, tensors["latents"][:, :, 1:]], dim=2)}

    start = torch.cat([first, noisy[:, :, 1:]], dim=2) if injected else noisy
    theirs = pipeline(
        height=32,
        width=48,
        num_frames=9,
        num_inference_steps=steps,
        guidance_scale=6.0,
        guidance_scale_2=6.0,
        latents=start,
        prompt_embeds=prompts.positive,
        negative_prompt_embeds=prompts.negative,
        output_type="latent",
        callback_on_step_end=inject if injected else None,
    ).frames
    stock = {name: copy_to_stock(expert) for name, expert in experts.items()}
    mine = denoise(
        stock.get,
        noisy,
        packed,
        prompts,
        SamplingConfig(steps=steps),
        lambda fraction: None,
        first if injected else None,
    )
    assert (mine - noisy).abs().mean() > 0.3
    torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=0)


def copy_to_stock(network: SelfConditioned) -> WanTransformer3DModel:
    """The same weights in the library's class."""
    other = WanTransformer3DModel(
        **{name: value for name, value in network.config.items() if not name.startswith("_")}
    )
    other.load_state_dict(network.state_dict())
    return other.eval()


def test_a_loaded_network_keeps_its_channels_and_its_float32_tensors(experts, tmp_path):
    network = copy.deepcopy(copy_to_stock(experts["high"])).to(torch.bfloat16)
    network.save_pretrained(tmp_path)
    again = load_network(WanTransformer3DModel, tmp_path)
    assert again.config.in_channels == again.patch_embedding.in_channels == 65
    exact = {name for name, parameter in again.named_parameters() if parameter.dtype == torch.float32}
    assert {
        "scale_shift_table",
        "blocks.0.scale_shift_table",
        "blocks.0.norm2.weight",
        "condition_embedder.time_embedder.linear_1.weight",
    } <= exact
    assert again.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    for name, parameter in again.named_parameters():
        torch.testing.assert_close(parameter.bfloat16(), network.get_parameter(name), atol=0, rtol=0)


@pytest.mark.parametrize(("before", "after"), [(0, 1), (2, 5)])
def test_rotary_embedding_depends_only_on_the_distance_between_frames(experts, inputs, before, after):
    """The reference's frame comes first, so that every later one is a step farther on than in a clip without
    it."""
    network = copy_to_stock(experts["high"])
    query, key = torch.randn(
        2, 1, 1, 2, network.config.attention_head_dim, generator=torch.Generator().manual_seed(4)
    )
    cosine, sine = network.rope(torch.zeros(1, INPUT_CHANNELS, 12, 4, 6))

    def match(one: int, other: int) -> torch.Tensor:
        places = [frame * 6 for frame in (one, other)]  # 2 x 3 tokens a frame
        rotated = [
            apply_rope(x, cosine[:, [place]], sine[:, [place]])
            for x, place in zip((query, key), places, strict=True)
        ]
        return (rotated[0] * rotated[1]).sum()

    torch.testing.assert_close(match(before, after), match(before + 4, after + 4))
    assert not torch.isclose(match(before, after), match(before, after + 1))


def apply_rope(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    even, odd = x[..., ::2], x[..., 1::2]
    cosine, sine = cosine[..., ::2], sine[..., 1::2]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2)
