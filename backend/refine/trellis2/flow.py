"""TRELLIS.2's texture flow, a transformer over latents: where noisy ones go, given a shape and a picture
(specs: trellis2, b.5)."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import normalize, scaled_dot_product_attention
from torch.utils.weak import WeakTensorKeyDictionary

from .layers import LayerNorm

FREQUENCIES = 256
"""Channels of a time's embedding."""

BASE = 10_000
"""Of the frequencies of times and of places."""


@dataclass(frozen=True)
class FlowConfig:
    """The defaults are the published ones.

    Attributes:
        inputs: channels of a noisy latent and of the shape's together.
        outputs: channels of a latent.
        width: of a token.
        condition: channels of an image token.
        blocks, heads: how many.
        hidden: of the feed-forward layers.
    """

    inputs: int = 64
    outputs: int = 32
    width: int = 1536
    condition: int = 1024
    blocks: int = 30
    heads: int = 12
    hidden: int = 8192


class Flow(nn.Module):
    """The texture flow. The keys and values of an image are kept as long as its condition tensor lives; do
    not change that in place."""

    def __init__(self, widths: FlowConfig = FlowConfig(), dtype: torch.dtype = torch.bfloat16):
        super().__init__()
        self.dtype, self.head = dtype, widths.width // widths.heads
        self.t_embedder = TimestepEmbedder(widths.width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(widths.width, 6 * widths.width))
        self.input_layer = nn.Linear(widths.inputs, widths.width)
        self.blocks = nn.ModuleList(Block(widths, dtype) for _ in range(widths.blocks))
        self.norm = LayerNorm(widths.width, eps=1e-5, affine=False)
        self.out_layer = nn.Linear(widths.width, widths.outputs)
        self._seen = WeakTensorKeyDictionary()

    def forward(
        self, x: torch.Tensor, time: float, cells: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        """(T, 32) float32 velocity, noise minus texture.

        Args:
            x: (T, 64) float32: noisy latents of the texture, then the shape's, both normalised.
            time: noise level, 0 to 1.
            cells: (T, 3) integers, coordinates of the coarsest level.
            condition: (L, 1024) all tokens of an image.
        """
        h = self.input_layer(x).to(self.dtype)
        modulation = self.adaLN_modulation(self.t_embedder(time)).to(self.dtype)
        turns = rope_frequencies(cells, self.head)
        for block, (key, value) in zip(self.blocks, self._keys_values(condition), strict=True):
            h = block(h, modulation, turns, key, value)
        return self.out_layer(self.norm(h.float()))

    def _keys_values(self, condition: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        if condition not in self._seen:
            self._seen[condition] = [
                block.cross_attn.keys_values(condition.to(self.dtype)) for block in self.blocks
            ]
        return self._seen[condition]


class TimestepEmbedder(nn.Module):
    """A noise level as a vector (C,), in float32."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: float) -> torch.Tensor:
        half, device = FREQUENCIES // 2, self.mlp[0].weight.device
        angles = (
            1000
            * time
            * torch.exp(-math.log(BASE) * torch.arange(half, dtype=torch.float32, device=device) / half)
        )
        return self.mlp(torch.cat([angles.cos(), angles.sin()]))


class Block(nn.Module):
    """Attention among the tokens, attention to the image, feed-forward; the first and the last modulated by
    the time."""

    def __init__(self, widths: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.modulation = nn.Parameter(torch.zeros(6 * widths.width))
        self.norm1 = LayerNorm(widths.width, affine=False)
        self.self_attn = SelfAttention(widths, dtype)
        self.norm2 = LayerNorm(widths.width)
        self.cross_attn = CrossAttention(widths, dtype)
        self.norm3 = LayerNorm(widths.width, affine=False)
        self.mlp = FeedForward(widths, dtype)

    def forward(
        self,
        h: torch.Tensor,
        modulation: torch.Tensor,
        turns: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
    ) -> torch.Tensor:
        """(T, C) of (T, C), with a modulation (6 C,) that is the same for all blocks, and
        :func:`rope_frequencies`."""
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.modulation + modulation).to(h.dtype).chunk(6)
        h = h + gate1 * self.self_attn(self.norm1(h) * (1 + scale1) + shift1, turns)
        h = h + self.cross_attn(self.norm2(h), key, value)
        return h + gate2 * self.mlp(self.norm3(h) * (1 + scale2) + shift2)


class SelfAttention(nn.Module):
    """Of all tokens to all, which know where they are by rotation."""

    def __init__(self, widths: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.heads = widths.heads
        self.to_qkv = nn.Linear(widths.width, 3 * widths.width, dtype=dtype)
        self.q_rms_norm, self.k_rms_norm = MultiHeadRMSNorm(widths), MultiHeadRMSNorm(widths)
        self.to_out = nn.Linear(widths.width, widths.width, dtype=dtype)

    def forward(self, x: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
        query, key, value = (part.unflatten(1, (self.heads, -1)) for part in self.to_qkv(x).chunk(3, dim=1))
        query, key = apply_rope(self.q_rms_norm(query), turns), apply_rope(self.k_rms_norm(key), turns)
        return self.to_out(attention(query, key, value))


class CrossAttention(nn.Module):
    """Of the tokens to those of an image."""

    def __init__(self, widths: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.heads = widths.heads
        self.to_q = nn.Linear(widths.width, widths.width, dtype=dtype)
        self.to_kv = nn.Linear(widths.condition, 2 * widths.width, dtype=dtype)
        self.q_rms_norm, self.k_rms_norm = MultiHeadRMSNorm(widths), MultiHeadRMSNorm(widths)
        self.to_out = nn.Linear(widths.width, widths.width, dtype=dtype)

    def keys_values(self, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(L, heads, D) each; they depend on nothing but the image."""
        key, value = (part.unflatten(1, (self.heads, -1)) for part in self.to_kv(condition).chunk(2, dim=1))
        return self.k_rms_norm(key), value

    def forward(self, x: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return self.to_out(
            attention(self.q_rms_norm(self.to_q(x).unflatten(1, (self.heads, -1))), key, value)
        )


class MultiHeadRMSNorm(nn.Module):
    """Makes vectors (n, heads, D) as long as sqrt(D), in float32, times a gain per channel."""

    def __init__(self, widths: FlowConfig):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(widths.heads, widths.width // widths.heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (normalize(x.float(), dim=2, eps=1e-12) * x.shape[2] ** 0.5 * self.gamma).to(x.dtype)


class FeedForward(nn.Module):
    """Two linear layers."""

    def __init__(self, widths: FlowConfig, dtype: torch.dtype):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(widths.width, widths.hidden, dtype=dtype),
            nn.GELU(approximate="tanh"),
            nn.Linear(widths.hidden, widths.width, dtype=dtype),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp(x)


def rope_frequencies(cells: torch.Tensor, head: int) -> torch.Tensor:
    """(T, 1, D / 2) complex64 turns of the pairs of a head's D channels: a third each for x, y and z, what is
    left over unturned."""
    pairs, each = head // 2, head // 6
    frequencies = BASE ** (-torch.arange(each, device=cells.device) / each)
    angles = cells.float()[:, :, None] * frequencies
    angles = torch.cat([angles.flatten(1), angles.new_zeros(len(cells), pairs - 3 * each)], dim=1)
    return torch.polar(torch.ones_like(angles), angles)[:, None]


def apply_rope(x: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """x (T, heads, D) with its neighbouring channels turned as pairs, in float32."""
    pairs = torch.view_as_complex(x.float().unflatten(2, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(2).to(x.dtype)


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """(n, heads D), full attention of queries (n, heads, D) to keys and values (m, heads, D)."""
    heads = (part.transpose(0, 1)[None] for part in (query, key, value))
    return scaled_dot_product_attention(*heads)[0].transpose(0, 1).flatten(1)
