"""TRELLIS.2's texture flow: a transformer over latents that predicts the velocity of noisy ones, given a
shape and an image (docs/models/trellis2.md#texture-flow).

Shapes: T latent tokens, L image tokens, C channels, H heads of D = C / H channels.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import normalize, scaled_dot_product_attention
from torch.utils.weak import WeakTensorKeyDictionary

from .layers import LayerNorm

TIMESTEP_CHANNELS = 256
"""Channels of the sinusoidal embedding of a noise level."""

FREQUENCY_BASE = 10_000
"""The lowest frequency is 1 over this, both of noise levels and of positions."""


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the flow; the defaults are the published ones.

    Attributes:
        inputs: channels of a noisy latent and of the shape's together.
        outputs: channels of a latent.
        width: channels of a token.
        condition: channels of an image token.
        blocks: number of transformer blocks.
        heads: attention heads of each.
        hidden: channels inside the feed-forward layers.
    """

    inputs: int = 64
    outputs: int = 32
    width: int = 1536
    condition: int = 1024
    blocks: int = 30
    heads: int = 12
    hidden: int = 8192


class Flow(nn.Module):
    """The texture flow. The keys and values of an image are cached as long as its condition tensor lives; do
    not change that in place."""

    def __init__(self, config: FlowConfig = FlowConfig(), dtype: torch.dtype = torch.bfloat16):
        super().__init__()
        self.dtype, self.head_channels = dtype, config.width // config.heads
        self.t_embedder = TimestepEmbedder(config.width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.width, 6 * config.width))
        self.input_layer = nn.Linear(config.inputs, config.width)
        self.blocks = nn.ModuleList(TransformerBlock(config, dtype) for _ in range(config.blocks))
        self.norm = LayerNorm(config.width, eps=1e-5, affine=False)
        self.out_layer = nn.Linear(config.width, config.outputs)
        self._kv_cache = WeakTensorKeyDictionary()

    def forward(
        self, x: torch.Tensor, noise_level: float, cells: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        """(T, 32) float32 velocity, noise minus texture.

        Args:
            x: (T, 64) float32: noisy latents of the texture, then the shape's, both normalised.
            noise_level: 0 to 1.
            cells: (T, 3) integers, coordinates of the coarsest level.
            condition: (L, 1024) all tokens of an image.
        """
        h = self.input_layer(x).to(self.dtype)  # (T, 64) -> (T, C)
        modulation = self.adaLN_modulation(self.t_embedder(noise_level)).to(self.dtype)  # (6 C,)
        rope = rope_frequencies(cells, self.head_channels)
        for block, (key, value) in zip(self.blocks, self._image_keys_values(condition), strict=True):
            h = block(h, modulation, rope, key, value)
        return self.out_layer(self.norm(h.float()))  # (T, C) -> (T, 32)

    def _image_keys_values(self, condition: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values (L, H, D) of every block; every step of a sampling uses the same."""
        if condition not in self._kv_cache:
            self._kv_cache[condition] = [
                block.cross_attn.keys_values(condition.to(self.dtype)) for block in self.blocks
            ]
        return self._kv_cache[condition]


class TimestepEmbedder(nn.Module):
    """A noise level as a vector (C,), in float32."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIMESTEP_CHANNELS, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, noise_level: float) -> torch.Tensor:
        half, device = TIMESTEP_CHANNELS // 2, self.mlp[0].weight.device
        angles = (
            1000
            * noise_level
            * torch.exp(
                -math.log(FREQUENCY_BASE) * torch.arange(half, dtype=torch.float32, device=device) / half
            )
        )
        return self.mlp(torch.cat([angles.cos(), angles.sin()]))


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention to the image, feed-forward; the first and the last modulated by the
    noise level (adaLN)."""

    def __init__(self, config: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.modulation = nn.Parameter(torch.zeros(6 * config.width))
        self.norm1 = LayerNorm(config.width, affine=False)
        self.self_attn = SelfAttention(config, dtype)
        self.norm2 = LayerNorm(config.width)
        self.cross_attn = CrossAttention(config, dtype)
        self.norm3 = LayerNorm(config.width, affine=False)
        self.mlp = FeedForward(config, dtype)

    def forward(
        self,
        h: torch.Tensor,
        modulation: torch.Tensor,
        rope: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
    ) -> torch.Tensor:
        """Tokens (T, C) to tokens (T, C).

        Args:
            h: (T, C).
            modulation: (6 C,), the same for all blocks.
            rope: see :func:`rope_frequencies`.
            key, value: (L, H, D) each, of the image; see :meth:`CrossAttention.keys_values`.
        """
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.modulation + modulation).to(h.dtype).chunk(6)
        h = h + gate1 * self.self_attn(self.norm1(h) * (1 + scale1) + shift1, rope)
        h = h + self.cross_attn(self.norm2(h), key, value)
        return h + gate2 * self.mlp(self.norm3(h) * (1 + scale2) + shift2)


class SelfAttention(nn.Module):
    """Attention of all latent tokens to all, with rotary position embedding."""

    def __init__(self, config: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.heads = config.heads
        self.to_qkv = nn.Linear(config.width, 3 * config.width, dtype=dtype)
        self.q_rms_norm, self.k_rms_norm = MultiHeadRMSNorm(config), MultiHeadRMSNorm(config)
        self.to_out = nn.Linear(config.width, config.width, dtype=dtype)

    def forward(self, x: torch.Tensor, rope: torch.Tensor) -> torch.Tensor:
        # (T, 3 C) -> three times (T, H, D)
        query, key, value = (
            tokens.unflatten(1, (self.heads, -1)) for tokens in self.to_qkv(x).chunk(3, dim=1)
        )
        query, key = apply_rope(self.q_rms_norm(query), rope), apply_rope(self.k_rms_norm(key), rope)
        return self.to_out(attention(query, key, value))


class CrossAttention(nn.Module):
    """Attention of the latent tokens to those of an image."""

    def __init__(self, config: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.heads = config.heads
        self.to_q = nn.Linear(config.width, config.width, dtype=dtype)
        self.to_kv = nn.Linear(config.condition, 2 * config.width, dtype=dtype)
        self.q_rms_norm, self.k_rms_norm = MultiHeadRMSNorm(config), MultiHeadRMSNorm(config)
        self.to_out = nn.Linear(config.width, config.width, dtype=dtype)

    def keys_values(self, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (L, H, D) of an image (L, 1024)."""
        # (L, 2 C) -> twice (L, H, D)
        key, value = (
            tokens.unflatten(1, (self.heads, -1)) for tokens in self.to_kv(condition).chunk(2, dim=1)
        )
        return self.k_rms_norm(key), value

    def forward(self, x: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        query = self.q_rms_norm(self.to_q(x).unflatten(1, (self.heads, -1)))  # (T, C) -> (T, H, D)
        return self.to_out(attention(query, key, value))


class MultiHeadRMSNorm(nn.Module):
    """Root-mean-square norm of every head's vector in (n, H, D), in float32, times a gain per channel."""

    def __init__(self, config: FlowConfig):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(config.heads, config.width // config.heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (normalize(x.float(), dim=2, eps=1e-12) * x.shape[2] ** 0.5 * self.gamma).to(x.dtype)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, config: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(config.width, config.hidden, dtype=dtype),
            nn.GELU(approximate="tanh"),
            nn.Linear(config.hidden, config.width, dtype=dtype),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp(x)


def rope_frequencies(cells: torch.Tensor, head_channels: int) -> torch.Tensor:
    """(T, 1, D / 2) complex64 rotations of a head's D channels in pairs: a third of the pairs each for x, y
    and z; the remainder is not rotated."""
    pairs, pairs_per_axis = head_channels // 2, head_channels // 6
    frequencies = FREQUENCY_BASE ** (-torch.arange(pairs_per_axis, device=cells.device) / pairs_per_axis)
    angles = cells.float()[:, :, None] * frequencies  # (T, 3, pairs per axis)
    padding = angles.new_zeros(len(cells), pairs - 3 * pairs_per_axis)
    angles = torch.cat([angles.flatten(1), padding], dim=1)  # (T, D / 2)
    return torch.polar(torch.ones_like(angles), angles)[:, None]


def apply_rope(x: torch.Tensor, rope: torch.Tensor) -> torch.Tensor:
    """Rotates neighbouring channels of x (T, H, D) as pairs, in float32."""
    pairs = torch.view_as_complex(x.float().unflatten(2, (-1, 2)))  # (T, H, D) -> (T, H, D / 2) complex
    return torch.view_as_real(pairs * rope).flatten(2).to(x.dtype)


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """(n, H D): full attention of queries (n, H, D) to keys and values (m, H, D)."""
    # (n, H, D) -> (1, H, n, D), as PyTorch orders them
    query, key, value = (tokens.transpose(0, 1)[None] for tokens in (query, key, value))
    return scaled_dot_product_attention(query, key, value)[0].transpose(0, 1).flatten(1)
