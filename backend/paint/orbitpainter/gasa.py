"""Geometry-aware sparse attention: tokens of different frames that show the same place attend to each other
(Ink3D, section 3.2).

It is a second branch beside the self-attention of every block, over the video's tokens only. What the paper
leaves open is decided here (docs/models/gasa.md): places are voxels of a grid of 64, where a token's own
sweep over four frames is as wide as the neighbourhood; a token without surface has no neighbour, and one
without neighbours gets zero; a gate per block, zero at first, adds the branch to the full attention.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from scipy.sparse import coo_array
from scipy.spatial import cKDTree
from torch import nn

from .layouts import FRAMES_PER_LATENT, TOKEN_SIZE, Clip, count_latent_frames

VOXEL_GRID = 64
"""Voxels along the mesh's longest side."""

NEIGHBOUR_RADIUS = 3
"""Voxels that two neighbours lie apart at most, along each axis."""

BACKGROUND_VALUE = 127
"""Value of all channels of a position image where there is no surface."""

SURFACE_FRACTION = 0.5
"""Fraction of a token's pixels that must show surface for it to have a voxel."""

TOKENS_PER_CHUNK = 1024
"""Tokens whose neighbours are gathered at once."""


class SparseAttention(Protocol):
    """Softmax attention of every token to its own neighbours: :class:`GatheredAttention`, or on a GPU
    :class:`backend.paint.orbitpainter.flex_attention.BlockSparseAttention`."""

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(N, H, D): attention of N tokens (N, H, D) with H heads to their neighbours; zero where there are
        none."""
        ...


@dataclass(frozen=True)
class GatheredAttention:
    """Sparse attention that gathers the keys and values of each token's neighbours, a chunk of tokens at a
    time.

    Attributes:
        indptr: (N + 1,) int64 where each token's neighbours begin in ``indices``, as in a CSR matrix.
        indices: (E,) int64 the neighbours' numbers, ascending per token.
    """

    indptr: torch.Tensor
    indices: torch.Tensor

    def to(self, device: torch.device) -> "GatheredAttention":
        return GatheredAttention(self.indptr.to(device), self.indices.to(device))

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """See :class:`SparseAttention`."""
        result = torch.zeros_like(query)
        for start, stop, neighbours, valid in self._iterate_chunks():
            if not valid.any():
                continue
            # (n, H, D) x (n, K, H, D) -> (n, H, K)
            scores = (
                torch.einsum("nhd,nkhd->nhk", query[start:stop], key[neighbours]) / query.shape[-1] ** 0.5
            )
            scores = scores.float().masked_fill(~valid[:, None], -torch.inf)
            # A row without neighbours is NaN after the softmax.
            weights = torch.softmax(scores, dim=-1).nan_to_num(0.0).to(value.dtype)
            # (n, H, K) x (n, K, H, D) -> (n, H, D)
            result[start:stop] = torch.einsum("nhk,nkhd->nhd", weights, value[neighbours])
        return result

    def _iterate_chunks(self) -> Iterator[tuple[int, int, torch.Tensor, torch.Tensor]]:
        """``(start, stop, neighbours, valid)`` of successive chunks of n tokens: (n, K) int64 neighbours,
        padded to the largest count K, and (n, K) bool which entries are neighbours."""
        for start in range(0, len(self.indptr) - 1, TOKENS_PER_CHUNK):
            indptr = self.indptr[start : start + TOKENS_PER_CHUNK + 1]
            count = indptr.diff()
            offset = torch.arange(int(count.max()), device=indptr.device)
            valid = offset < count[:, None]
            entry = (indptr[:-1, None] + offset).clamp(max=max(len(self.indices) - 1, 0))
            yield start, start + len(count), self.indices[entry], valid


def compute_token_voxels(
    positions: Sequence[np.ndarray], clips: Sequence[Clip]
) -> tuple[np.ndarray, np.ndarray]:
    """``(voxel, frame)`` of the video's tokens, in the network's order: (N, 3) int32 mean voxel of a token's
    pixels, -1 where less than half shows surface; (N,) int32 latent frame.

    Args:
        positions: per view (H, W, 3) uint8 as :func:`backend.render.gbuffer_images.position_image` encodes
            them.
        clips: see :mod:`backend.paint.orbitpainter.layouts`.
    """
    voxels, frames = [], []
    for group in _group_by_latent_frame(clips):
        # (G, H, W, 3): the G frames of one latent frame.
        images = np.stack([np.hstack([positions[view] for view in frame]) for frame in group])
        surface = (np.abs(images.astype(np.int16) - BACKGROUND_VALUE) > 1).any(axis=-1)
        # (G, H, W) -> (G, h, TOKEN_SIZE, w, TOKEN_SIZE), summed to (h, w).
        height, width = surface.shape[1] // TOKEN_SIZE, surface.shape[2] // TOKEN_SIZE
        cells = (len(group), height, TOKEN_SIZE, width, TOKEN_SIZE)
        count = surface.reshape(cells).sum(axis=(0, 2, 4))
        total = ((images + 0.5) / 255 * surface[..., None]).reshape(*cells, 3).sum(axis=(0, 2, 4))
        voxel = np.floor(total / np.maximum(count, 1)[..., None] * VOXEL_GRID).astype(np.int32)
        voxel[count < SURFACE_FRACTION * len(group) * TOKEN_SIZE**2] = -1
        frames.append(np.full(height * width, len(voxels), np.int32))
        voxels.append(voxel.reshape(-1, 3))  # (h, w, 3) -> (h w, 3)
    return np.concatenate(voxels), np.concatenate(frames)


def _group_by_latent_frame(clips: Sequence[Clip]) -> Iterator[Clip]:
    """The frames of every latent frame: a clip's first alone, then four to one."""
    for clip in clips:
        yield clip[:1]
        for k in range(count_latent_frames(len(clip)) - 1):
            yield clip[1 + FRAMES_PER_LATENT * k : 1 + FRAMES_PER_LATENT * (k + 1)]


def find_neighbours(voxel: np.ndarray, frame: np.ndarray) -> GatheredAttention:
    """Attention of tokens with voxels (N, 3) int32 and frames (N,) int32 to those of other frames whose
    voxels lie within :data:`NEIGHBOUR_RADIUS` along every axis."""
    on_surface = np.flatnonzero(voxel[:, 0] >= 0)
    tree = cKDTree(voxel[on_surface])
    pairs = tree.query_pairs(NEIGHBOUR_RADIUS + 0.5, p=np.inf, output_type="ndarray").astype(np.int64)
    pairs = on_surface[pairs].reshape(-1, 2)
    pairs = pairs[frame[pairs[:, 0]] != frame[pairs[:, 1]]]
    # Each pair in both directions, as a sparse matrix (N, N).
    row, column = np.concatenate([pairs, pairs[:, ::-1]]).T
    matrix = coo_array((np.ones(len(row), bool), (row, column)), shape=(len(voxel), len(voxel))).tocsr()
    matrix.sort_indices()
    return GatheredAttention(
        torch.from_numpy(matrix.indptr.astype(np.int64)), torch.from_numpy(matrix.indices.astype(np.int64))
    )


class SparseBranch(nn.Module):
    """The second branch of one block: a self-attention's layers of its own, and a gate.

    Args:
        attention: the block's self-attention; the branch starts as a copy of its layers, with the gate at
            zero.
    """

    def __init__(self, attention: nn.Module):
        super().__init__()
        for name in ("to_q", "to_k", "to_v", "to_out", "norm_q", "norm_k"):
            setattr(self, name, copy.deepcopy(getattr(attention, name)))
        self.heads = attention.heads
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(
        self, tokens: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], sparse: SparseAttention
    ) -> torch.Tensor:
        """(1, N, C) of tokens (1, N, C), with the cosines and sines (1, N, 1, D) of their rotary
        embedding."""
        query, key, value = self.norm_q(self.to_q(tokens)), self.norm_k(self.to_k(tokens)), self.to_v(tokens)
        # (1, N, C) -> (N, H, D)
        query, key, value = (x[0].unflatten(-1, (self.heads, -1)) for x in (query, key, value))
        query, key = _apply_rope(query, *rotary), _apply_rope(key, *rotary)
        attended = sparse.attend(query, key, value).flatten(1)  # (N, H, D) -> (N, C)
        return self.gate * self.to_out[0](attended)[None]


class SparseBranchProcessor:
    """An attention processor that adds the branch to what the block's own processor returns.

    Attributes:
        base: the block's own processor.
        reference_tokens: how many tokens, the first ones, belong to the reference and take no part.
        sparse: the attention between the others.
    """

    def __init__(self, base):
        self.base, self.reference_tokens, self.sparse = base, 0, None

    def __call__(
        self,
        attention,
        hidden_states,
        encoder_hidden_states=None,
        attention_mask=None,
        rotary_emb=None,
        **rest,
    ):
        result = self.base(
            attention, hidden_states, encoder_hidden_states, attention_mask, rotary_emb, **rest
        )
        start = self.reference_tokens
        rotary = tuple(table[:, start:] for table in rotary_emb)
        video = attention.gasa(hidden_states[:, start:], rotary, self.sparse)
        return torch.cat([result[:, :start], result[:, start:] + video], dim=1)


def add_sparse_branches(network: WanTransformer3DModel) -> None:
    """Gives every block of a network a branch; :func:`set_sparse_attention` tells them the neighbours."""
    for block in network.blocks:
        block.attn1.gasa = SparseBranch(block.attn1)
        block.attn1.set_processor(SparseBranchProcessor(block.attn1.processor))


def has_sparse_branches(network: WanTransformer3DModel) -> bool:
    """Whether a network has branches. The published ones have none."""
    return isinstance(network.blocks[0].attn1.processor, SparseBranchProcessor)


def set_sparse_attention(
    network: WanTransformer3DModel, sparse: SparseAttention, reference_tokens: int
) -> None:
    """Sets the attention between the tokens of the clips that a network is about to paint."""
    for block in network.blocks:
        block.attn1.processor.sparse = sparse
        block.attn1.processor.reference_tokens = reference_tokens


def _apply_rope(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """(N, H, D): rotary position embedding of ``x`` (N, H, D). Pairs of adjacent channels are rotated; each
    angle stands twice in the tables (1, N, 1, D)."""
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)  # (N, H, D) -> 2 x (N, H, D / 2)
    cosine, sine = cosine[0, ..., 0::2], sine[0, ..., 1::2]
    rotated = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return rotated.flatten(-2).to(x.dtype)
