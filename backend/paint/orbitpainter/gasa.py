"""Geometry-aware sparse attention: tokens of different frames that show the same place attend to each other
(Ink3D 3.2).

A second branch beside the self-attention of every block, over the video's tokens only. What the paper leaves
open is decided here: places are voxels of a grid of 64, where a token's own sweep over four frames is as wide
as the neighbourhood; a token without surface has no neighbour, and one without neighbours gets zero; a gate
per block, zero at first, adds the branch to the full attention (specs: orbitpainter d).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from scipy.sparse import coo_array
from scipy.spatial import cKDTree
from torch import nn

from .layouts import PATCH, Film, latent_frames

GRID, RADIUS = 64, 3
"""Voxels along the mesh's longest side, and how many of them apart two tokens may lie, along each axis."""

BACKGROUND = 127
"""Of a position image."""

CHUNK = 1024
"""Tokens whose neighbours are gathered at once."""


@dataclass(frozen=True)
class Neighbours:
    """Who attends to whom.

    Attributes:
        first: (N + 1,) int64 where each token's neighbours begin.
        index: (E,) int64 their numbers, in order.
    """

    first: torch.Tensor
    index: torch.Tensor

    def to(self, device: torch.device) -> "Neighbours":
        return Neighbours(self.first.to(device), self.index.to(device))

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(N, H, D): softmax attention of N tokens (N, H, D) to their neighbours; zero where there are
        none."""
        result = torch.zeros_like(query)
        for start, stop, index, present in self._chunks():
            if not present.any():
                continue
            scores = torch.einsum("nhd,nkhd->nhk", query[start:stop], key[index]) / query.shape[-1] ** 0.5
            weights = (
                torch.softmax(scores.float().masked_fill(~present[:, None], -torch.inf), dim=-1)
                .nan_to_num(0.0)
                .to(value.dtype)
            )
            result[start:stop] = torch.einsum("nhk,nkhd->nhd", weights, value[index])
        return result

    def _chunks(self):
        """``(start, stop, index, present)`` of some tokens after the other: (n, K) neighbours, padded, and
        (n, K) bool which are."""
        for start in range(0, len(self.first) - 1, CHUNK):
            first = self.first[start : start + CHUNK + 1]
            count = first.diff()
            place = torch.arange(int(count.max()), device=first.device)
            present = place < count[:, None]
            yield (
                start,
                start + len(count),
                self.index[(first[:-1, None] + place).clamp(max=max(len(self.index) - 1, 0))],
                present,
            )


def token_places(positions: Sequence[np.ndarray], films: Sequence[Film]) -> tuple[np.ndarray, np.ndarray]:
    """``(voxel, frame)`` of the video's tokens, in the network's order: (N, 3) int32, -1 where less than half
    shows surface; (N,) int32 latent frame.

    Args:
        positions: per view (H, W, 3) uint8 as :func:`backend.render.maps.position_image` encodes them.
        films: see :mod:`backend.paint.orbitpainter.layouts`.
    """
    voxels, frames = [], []
    for film in films:
        groups = [film[:1], *(film[1 + 4 * k : 5 + 4 * k] for k in range(latent_frames(len(film)) - 1))]
        for group in groups:
            images = np.stack([np.hstack([positions[view] for view in frame]) for frame in group])
            seen = (np.abs(images.astype(np.int16) - BACKGROUND) > 1).any(axis=-1)
            height, width = seen.shape[1] // PATCH, seen.shape[2] // PATCH
            cells = (len(group), height, PATCH, width, PATCH)
            count = seen.reshape(cells).sum(axis=(0, 2, 4))
            total = ((images + 0.5) / 255 * seen[..., None]).reshape(*cells, 3).sum(axis=(0, 2, 4))
            voxel = np.floor(total / np.maximum(count, 1)[..., None] * GRID).astype(np.int32)
            voxel[count < 0.5 * len(group) * PATCH**2] = -1
            frames.append(np.full(height * width, len(voxels), np.int32))
            voxels.append(voxel.reshape(-1, 3))
    return np.concatenate(voxels), np.concatenate(frames)


def neighbours(voxel: np.ndarray, frame: np.ndarray) -> Neighbours:
    """Tokens of other frames whose voxels lie within :data:`RADIUS` of each other along every axis."""
    shown = np.flatnonzero(voxel[:, 0] >= 0)
    pairs = shown[
        cKDTree(voxel[shown]).query_pairs(RADIUS + 0.5, p=np.inf, output_type="ndarray").astype(np.int64)
    ].reshape(-1, 2)
    pairs = pairs[frame[pairs[:, 0]] != frame[pairs[:, 1]]]
    one, other = np.concatenate([pairs, pairs[:, ::-1]]).T
    table = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(voxel), len(voxel))).tocsr()
    table.sort_indices()
    return Neighbours(
        torch.from_numpy(table.indptr.astype(np.int64)), torch.from_numpy(table.indices.astype(np.int64))
    )


class Attends(Protocol):
    """Knows who attends to whom: :class:`Neighbours`, or on a GPU
    :class:`backend.paint.orbitpainter.flex_attention.Blocks`."""

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(N, H, D): softmax attention of N tokens (N, H, D) to their neighbours; zero where there are
        none."""
        ...


class SparseBranch(nn.Module):
    """The second branch of one block: a self-attention's layers of its own, and a gate.

    Args:
        attention: the block's self-attention; the branch starts as a copy of its layers, with the gate shut.
    """

    def __init__(self, attention: nn.Module):
        super().__init__()
        for name in ("to_q", "to_k", "to_v", "to_out", "norm_q", "norm_k"):
            setattr(self, name, copy.deepcopy(getattr(attention, name)))
        self.heads = attention.heads
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(
        self, tokens: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], near: Attends
    ) -> torch.Tensor:
        """(1, N, C) of tokens (1, N, C), with the cosines and sines of their places, (1, N, 1, D)."""
        query, key, value = (
            part[0].unflatten(-1, (self.heads, -1))
            for part in (self.norm_q(self.to_q(tokens)), self.norm_k(self.to_k(tokens)), self.to_v(tokens))
        )
        query, key = (_rotated(part, *rotary) for part in (query, key))
        return self.gate * self.to_out[0](near.attend(query, key, value).flatten(1))[None]


class WithBranch:
    """A self-attention's processor that adds the branch to what the block's own makes.

    Attributes:
        full: the block's own processor.
        reference: how many tokens, the first ones, are the reference's and take no part.
        near: the neighbours of the others.
    """

    def __init__(self, full):
        self.full, self.reference, self.near = full, 0, None

    def __call__(
        self,
        attention,
        hidden_states,
        encoder_hidden_states=None,
        attention_mask=None,
        rotary_emb=None,
        **rest,
    ):
        result = self.full(
            attention, hidden_states, encoder_hidden_states, attention_mask, rotary_emb, **rest
        )
        video = attention.gasa(
            hidden_states[:, self.reference :],
            tuple(part[:, self.reference :] for part in rotary_emb),
            self.near,
        )
        return torch.cat([result[:, : self.reference], result[:, self.reference :] + video], dim=1)


def add_branches(network: WanTransformer3DModel) -> None:
    """Gives every block of a network a branch, see :func:`aim`."""
    for block in network.blocks:
        block.attn1.gasa = SparseBranch(block.attn1)
        block.attn1.set_processor(WithBranch(block.attn1.processor))


def branched(network: WanTransformer3DModel) -> bool:
    """Whether a network has branches. The published ones have none."""
    return isinstance(network.blocks[0].attn1.processor, WithBranch)


def aim(network: WanTransformer3DModel, near: Attends, reference: int) -> None:
    """Tells the branches of a network who attends to whom in the film it is about to paint."""
    for block in network.blocks:
        block.attn1.processor.near, block.attn1.processor.reference = near, reference


def _rotated(part: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Neighbouring pairs of channels, turned; each angle stands twice in the tables."""
    one, two = part.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = cosine[0, ..., 0::2], sine[0, ..., 1::2]
    return (
        torch.stack([one * cosine - two * sine, one * sine + two * cosine], dim=-1).flatten(-2).to(part.dtype)
    )
