"""The two experts as stock diffusers networks, and the one convention that is ours: how noise, condition and
reference are packed into channels.

The published network has a patch embedding of 68 channels and a convolution of its own for the reference,
whose tokens come before those of the first frame. Both are one patch embedding of 65 channels here: the
reference is a frame of its own ahead of the others, in channels that are zero elsewhere, and a mask channel
that is 1 there carries the difference of the two biases
(docs/models/orbitpainter.md#the-reference-slot-is-folded-into-the-patch-embedding).
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, ModelMixin, WanTransformer3DModel

from ...api.errors import InvalidWeights
from ...tensors import Tensors
from .gasa import add_sparse_branches

LATENT_CHANNELS = 16
"""Channels of the autoencoder's latents."""

PUBLISHED_CONFIG = {
    "num_attention_heads": 40,
    "attention_head_dim": 128,
    "ffn_dim": 13824,
    "num_layers": 40,
    "text_dim": 4096,
    "freq_dim": 256,
    "out_channels": LATENT_CHANNELS,
    "patch_size": (1, 2, 2),
}
"""The configuration of the published experts, without ``in_channels``."""

LORA_LAYERS = (
    *(f"{attention}.{projection}" for attention in ("self_attn", "cross_attn") for projection in "qkvo"),
    "ffn.0",
    "ffn.2",
)
"""The linear layers of every block that LoRAs change, in the original Wan code's names."""

PUBLISHED_CHANNELS = {"base": 52, "painter": 68}
"""Channels of the patch embedding, of the base model and of OrbitPainter: noise 16, position 16, 20 that are
always zero, normal 16."""

USED_CHANNELS = (*range(0, 32), *range(52, 68))
"""Those of the 68 that are ever filled: noise, position, normal."""

INPUT_CHANNELS = len(USED_CHANNELS) + LATENT_CHANNELS + 1
"""Channels of the folded patch embedding: noise, position, normal, reference latent, reference mask."""


def lora_layers(blocks: int) -> Iterator[str]:
    """The original names of the linear layers that LoRAs change, for all blocks."""
    return (f"blocks.{block}.{layer}" for block in range(blocks) for layer in LORA_LAYERS)


def load_network(kind: type[ModelMixin], folder: Path) -> ModelMixin:
    """A diffusers network from its folder, on the CPU, in the dtypes of its files, see
    :func:`assign_weights`.

    (Its own ``from_pretrained`` needs accelerate, or twice the memory, and accepts a missing tensor.)

    Raises:
        InvalidWeights: a file is missing, damaged or of another model.
    """
    network = build_empty(kind, folder)
    tensors = Tensors(sorted(folder.glob("*.safetensors")))
    if any(".gasa." in name for name in tensors.shapes):
        add_sparse_branches(network)
    tensors.expect({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    return assign_weights(network, tensors.all())


def build_empty(kind: type[ModelMixin], folder: Path) -> ModelMixin:
    """A network as its folder describes it, without weights (on torch's meta device).

    Raises:
        InvalidWeights: the folder has no description.
    """
    try:
        config = kind.load_config(folder)
    except OSError as error:
        raise InvalidWeights(
            f"{folder} holds no model that can be read. Download the weights again, or choose another folder."
        ) from error
    with torch.device("meta"):
        return kind.from_config(config)


def assign_weights(network: ModelMixin, tensors: dict[str, torch.Tensor]) -> ModelMixin:
    """Gives a network of :func:`build_empty` its weights, in their dtypes; the parameters that diffusers
    keeps in float32 become float32."""
    network.load_state_dict(tensors, assign=True)
    for name, parameter in network.named_parameters():
        if set(name.split(".")) & set(network._keep_in_fp32_modules or ()):
            parameter.data = parameter.data.float()
    if isinstance(network, WanTransformer3DModel):  # its tables of rotary angles are in no file
        config = network.config
        network.rope = type(network.rope)(
            config.attention_head_dim, config.patch_size, config.rope_max_seq_len
        )
    return network.eval().requires_grad_(False)


def fold_patch_embedding(
    weight: torch.Tensor, bias: torch.Tensor, reference_weight: torch.Tensor, reference_bias: torch.Tensor
) -> torch.Tensor:
    """The weight (D, 65, 1, 2, 2) of the folded patch embedding; its bias is ``bias``.

    Args:
        weight: (D, 68, 1, 2, 2) of the video's patch embedding.
        bias: (D,).
        reference_weight: (D, 16, 2, 2) of the reference's convolution.
        reference_bias: (D,).
    """
    # The mask is 1 on the whole patch, so one of its four pixels carries the difference of the biases.
    mask_weight = torch.zeros_like(weight[:, :1])  # (D, 1, 1, 2, 2)
    mask_weight[:, 0, 0, 0, 0] = reference_bias - bias
    return torch.cat([weight[:, list(USED_CHANNELS)], reference_weight[:, :, None], mask_weight], dim=1)


def pack_condition(position: torch.Tensor, normal: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """(1, 49, T + 1, h, w): all that the network sees beside the noise.

    Args:
        position, normal: (1, 16, T, h, w) latents of the two condition clips.
        reference: (1, 16, 1, h, w) latent of the reference.
    """
    # Position and normal, behind a frame of zeros: (1, 32, T + 1, h, w)
    conditions = torch.cat([position, normal], dim=1)
    padding_frame = torch.zeros_like(conditions[:, :, :1])
    conditions = torch.cat([padding_frame, conditions], dim=2)
    # The reference latent and its mask in the first frame, zeros behind it: (1, 17, T + 1, h, w)
    _, _, frames, height, width = conditions.shape
    reference_channels = torch.zeros(
        1, LATENT_CHANNELS + 1, frames, height, width, dtype=conditions.dtype, device=conditions.device
    )
    reference_channels[:, :LATENT_CHANNELS, :1] = reference
    reference_channels[:, LATENT_CHANNELS, 0] = 1
    return torch.cat([conditions, reference_channels], dim=1)


def predict_velocity(
    network: WanTransformer3DModel,
    latents: torch.Tensor,
    condition: torch.Tensor,
    timestep: torch.Tensor,
    text: torch.Tensor,
) -> torch.Tensor:
    """(1, 16, T, h, w) float32: the flow's velocity at noisy latents, noise minus clean latents.

    Args:
        network: an expert.
        latents: (1, 16, T, h, w) float32.
        condition: (1, 49, T + 1, h, w) of :func:`pack_condition`.
        timestep: (1,) float32, 1000 times the noise level.
        text: (1, 512, C) embedding of the prompt, zero beyond its end.
    """
    # (1, 16, T, h, w) -> (1, 16, T + 1, h, w) -> (1, 65, T + 1, h, w)
    padding_frame = torch.zeros_like(latents[:, :, :1])
    noise_channels = torch.cat([padding_frame, latents], dim=2).to(condition.dtype)
    packed = torch.cat([noise_channels, condition], dim=1)
    dtype = network.patch_embedding.weight.dtype  # of the computation, also where weights rest in fewer bits
    [velocity] = network(packed.to(dtype), timestep, text.to(dtype), return_dict=False)
    return velocity[:, :, 1:].float()  # without the reference's frame


def encode_video(vae: AutoencoderKLWan, video: torch.Tensor) -> torch.Tensor:
    """(1, 16, T, H / 8, W / 8) normalised latents of a video (1, 3, F, H, W) in -1..1; F is 1 more than a
    multiple of 4, T = (F + 3) / 4."""
    latents = vae.encode(video.to(vae.dtype)).latent_dist.mode().float()
    mean, deviation = _latent_statistics(vae, latents)
    return (latents - mean) / deviation


def decode_video(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """(1, 3, F, H, W) float32 video in -1..1 of normalised latents (1, 16, T, H / 8, W / 8)."""
    mean, deviation = _latent_statistics(vae, latents)
    return vae.decode((latents * deviation + mean).to(vae.dtype), return_dict=False)[0].float().clamp(-1, 1)


def _latent_statistics(vae: AutoencoderKLWan, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (1, 16, 1, 1, 1) of the autoencoder's latents."""
    mean, deviation = (
        torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, deviation
