"""The two experts as stock diffusers networks, and the one convention that is ours: how frames, condition and
reference are packed.

The published network has a patch embedding of 68 channels and a convolution of its own for the reference,
whose tokens come before those of the first frame. Both are one patch embedding of 65 channels here: the
reference is a frame of its own, ahead of the others, in channels that are zero elsewhere, and a last channel
that is 1 there carries the difference of the two biases (specs: orbitpainter c.4).
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, ModelMixin, WanTransformer3DModel

from ...api.errors import InvalidWeights
from ...tensors import Tensors
from .gasa import add_branches

LATENT = 16
"""Channels of a latent."""

PUBLISHED = {
    "num_attention_heads": 40,
    "attention_head_dim": 128,
    "ffn_dim": 13824,
    "num_layers": 40,
    "text_dim": 4096,
    "freq_dim": 256,
    "out_channels": LATENT,
    "patch_size": (1, 2, 2),
}
"""The published experts, all but their ``in_channels``."""

ADAPTED = (
    *(f"{attention}.{part}" for attention in ("self_attn", "cross_attn") for part in "qkvo"),
    "ffn.0",
    "ffn.2",
)
"""The linear layers of every block that LoRAs change, in the original Wan code's names."""

PUBLISHED_CHANNELS = {"base": 52, "painter": 68}
"""Channels of the patch embedding, of the base model and of OrbitPainter: noise 16, position 16, 20 that are
always zero, normal 16."""

VIDEO_CHANNELS = (*range(0, 32), *range(52, 68))
"""Of the 68, those that are ever filled."""

PACKED = len(VIDEO_CHANNELS) + LATENT + 1
"""Channels of the folded patch embedding: noise, position, normal, reference, and whether this is the
reference's frame."""


def adapted_layers(blocks: int) -> Iterator[str]:
    """The original names of the linear layers that LoRAs change."""
    return (f"blocks.{block}.{part}" for block in range(blocks) for part in ADAPTED)


def load(kind: type[ModelMixin], folder: Path) -> ModelMixin:
    """A network of diffusers from its folder, on the CPU, in the type of its files, see :func:`filled`.

    (Its own ``from_pretrained`` needs accelerate, or twice the memory, and does not mind a tensor too few.)

    Raises:
        InvalidWeights: a file is missing, damaged or of another model.
    """
    network = blank(kind, folder)
    tensors = Tensors(sorted(folder.glob("*.safetensors")))
    if any(".gasa." in name for name in tensors.shapes):
        add_branches(network)
    tensors.expect({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    return filled(network, tensors.all())


def blank(kind: type[ModelMixin], folder: Path) -> ModelMixin:
    """A network as its folder describes it, without weights.

    Raises:
        InvalidWeights: the folder describes none.
    """
    try:
        config = kind.load_config(folder)
    except OSError as error:
        raise InvalidWeights(
            f"{folder} holds no model that can be read. Download the weights again, or choose another folder."
        ) from error
    with torch.device("meta"):
        return kind.from_config(config)


def filled(network: ModelMixin, tensors: dict[str, torch.Tensor]) -> ModelMixin:
    """A network of :func:`blank` with its weights, in their types; what diffusers wants exact becomes
    float32."""
    network.load_state_dict(tensors, assign=True)
    for name, parameter in network.named_parameters():
        if set(name.split(".")) & set(network._keep_in_fp32_modules or ()):
            parameter.data = parameter.data.float()
    if isinstance(network, WanTransformer3DModel):  # whose tables of angles are in no file
        config = network.config
        network.rope = type(network.rope)(
            config.attention_head_dim, config.patch_size, config.rope_max_seq_len
        )
    return network.eval().requires_grad_(False)


def fold(
    weight: torch.Tensor, bias: torch.Tensor, reference_weight: torch.Tensor, reference_bias: torch.Tensor
) -> torch.Tensor:
    """The weight (D, 65, 1, 2, 2) of the folded patch embedding; its bias is ``bias``.

    Args:
        weight: (D, 68, 1, 2, 2) of the video's patch embedding.
        bias: (D,).
        reference_weight: (D, 16, 2, 2) of the reference's convolution.
        reference_bias: (D,).
    """
    difference = torch.zeros_like(weight[:, :1])
    difference[:, 0, 0, 0, 0] = reference_bias - bias
    return torch.cat([weight[:, list(VIDEO_CHANNELS)], reference_weight[:, :, None], difference], dim=1)


def condition(position: torch.Tensor, normal: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """(1, 49, T + 1, h, w), all that the network sees beside the noise.

    Args:
        position, normal: (1, 16, T, h, w) latents of the two films.
        reference: (1, 16, 1, h, w) latent of the reference.
    """
    films = torch.cat([position, normal], dim=1)
    ahead = torch.zeros_like(films[:, :, :1])
    slot = torch.zeros(
        1, LATENT + 1, films.shape[2] + 1, *films.shape[3:], dtype=films.dtype, device=films.device
    )
    slot[:, :LATENT, :1] = reference
    slot[:, LATENT, 0] = 1
    return torch.cat([torch.cat([ahead, films], dim=2), slot], dim=1)


def velocity(
    network: WanTransformer3DModel,
    latents: torch.Tensor,
    packed_condition: torch.Tensor,
    time: torch.Tensor,
    text: torch.Tensor,
) -> torch.Tensor:
    """(1, 16, T, h, w) float32: where the network wants the latents to go, noise minus picture.

    Args:
        network: an expert.
        latents: (1, 16, T, h, w) float32.
        packed_condition: of :func:`condition`.
        time: (1,) float32, 1000 times the noise level.
        text: (1, 512, C) embedding of the prompt, zero beyond its end.
    """
    ahead = torch.zeros_like(latents[:, :, :1])
    packed = torch.cat(
        [torch.cat([ahead, latents], dim=2).to(packed_condition.dtype), packed_condition], dim=1
    )
    kind = network.patch_embedding.weight.dtype  # what is worked in, also where weights rest in fewer bits
    return network(packed.to(kind), time, text.to(kind), return_dict=False)[0][:, :, 1:].float()


def encode(vae: AutoencoderKLWan, film: torch.Tensor) -> torch.Tensor:
    """(1, 16, T, H / 8, W / 8) normalised latents of a film (1, 3, F, H, W) in -1..1; F is 1 more than a
    multiple of 4, T = (F + 3) / 4."""
    latents = vae.encode(film.to(vae.dtype)).latent_dist.mode().float()
    mean, deviation = _statistics(vae, latents)
    return (latents - mean) / deviation


def decode(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """(1, 3, F, H, W) float32 film in -1..1 of normalised latents."""
    mean, deviation = _statistics(vae, latents)
    return vae.decode((latents * deviation + mean).to(vae.dtype), return_dict=False)[0].float().clamp(-1, 1)


def _statistics(vae: AutoencoderKLWan, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    vectors = (
        torch.tensor(values, dtype=like.dtype, device=like.device)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    mean, deviation = (vector.view(1, -1, 1, 1, 1) for vector in vectors)
    return mean, deviation
