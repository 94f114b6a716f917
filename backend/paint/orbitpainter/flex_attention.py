"""The sparse branch's attention on a GPU: FlexAttention over blocks of tokens that lie near each other
(docs/models/gasa.md#flexattention-over-morton-ordered-blocks).

Tokens are sorted in Morton order of their voxels, so that neighbours fall into few pairs of blocks; only
those pairs are computed, and within them a mask says who attends to whom. Row by row it is the same attention
as :meth:`backend.paint.orbitpainter.gasa.GatheredAttention.attend`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from .gasa import NEIGHBOUR_RADIUS, GatheredAttention

BLOCK_SIZE = 128
"""Tokens of a block."""

_MORTON_BITS = 7
"""Bits of a voxel's coordinate, from 0 to 64."""


@dataclass(frozen=True)
class BlockSparseAttention:
    """Sparse attention by FlexAttention, see :class:`backend.paint.orbitpainter.gasa.SparseAttention`.

    Attributes:
        order: (N,) int64 the tokens' numbers in Morton order, those without surface last.
        rank: (N,) int64 the position of each token in that order, the inverse permutation.
        mask: which pairs of blocks have neighbours, and which of their tokens are neighbours.
    """

    order: torch.Tensor
    rank: torch.Tensor
    mask: BlockMask

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """See :class:`backend.paint.orbitpainter.gasa.SparseAttention`."""
        # (N, H, D) -> (1, H, N, D), in Morton order
        query, key, value = (x[self.order].transpose(0, 1)[None] for x in (query, key, value))
        attended = _load_attention(query.device.type)(query, key, value, block_mask=self.mask)
        return attended[0].transpose(0, 1)[self.rank]  # (1, H, N, D) -> (N, H, D)


def build_block_attention(
    voxel: np.ndarray, frame: np.ndarray, neighbours: GatheredAttention, device: torch.device
) -> BlockSparseAttention:
    """The attention of tokens by blocks.

    Args:
        voxel, frame: (N, 3) int32 and (N,) int32 of
            :func:`backend.paint.orbitpainter.gasa.compute_token_voxels`.
        neighbours: of the tokens, on the CPU.
        device: where the attention is computed.
    """
    last = np.iinfo(np.int64).max
    order = np.argsort(np.where(voxel[:, 0] >= 0, morton_code(voxel), last), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    mask = BlockMask.from_kv_blocks(
        *_find_block_pairs(rank, neighbours, device),
        BLOCK_SIZE=BLOCK_SIZE,
        mask_mod=_build_mask(voxel[order], frame[order], device),
        seq_lengths=(len(order), len(order)),
    )
    return BlockSparseAttention(torch.from_numpy(order).to(device), torch.from_numpy(rank).to(device), mask)


def _find_block_pairs(
    rank: np.ndarray, neighbours: GatheredAttention, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(count, index)`` of FlexAttention: (1, 1, B) int32 how many blocks of keys each block of queries
    needs; (1, 1, B, B) int32 their numbers, those first."""
    block_count = -(-len(rank) // BLOCK_SIZE)
    needed = np.zeros((block_count, block_count), bool)
    query_token = np.repeat(rank, neighbours.indptr.diff().numpy())
    needed[query_token // BLOCK_SIZE, rank[neighbours.indices.numpy()] // BLOCK_SIZE] = True
    count = torch.from_numpy(needed.sum(axis=1, dtype=np.int32)).to(device)
    index = torch.from_numpy(np.argsort(~needed, axis=1, kind="stable").astype(np.int32)).to(device)
    return count[None, None], index[None, None]


def _build_mask(voxel: np.ndarray, frame: np.ndarray, device: torch.device) -> Callable:
    """The mask function of FlexAttention: whether two tokens, by their numbers in sorted order, are
    neighbours."""
    # One tensor per coordinate, indexed with one number: indexing a row of three and then an element of it
    # compiles to something else (torch 2.13).
    x, y, z, clip_frame = (
        torch.from_numpy(np.ascontiguousarray(column)).to(device) for column in (*voxel.T, frame)
    )

    def are_neighbours(batch, head, query, key):
        close = (
            ((x[query] - x[key]).abs() <= NEIGHBOUR_RADIUS)
            & ((y[query] - y[key]).abs() <= NEIGHBOUR_RADIUS)
            & ((z[query] - z[key]).abs() <= NEIGHBOUR_RADIUS)
        )
        return close & (clip_frame[query] != clip_frame[key]) & (x[query] >= 0) & (x[key] >= 0)

    return are_neighbours


def morton_code(voxel: np.ndarray) -> np.ndarray:
    """(N,) int64 positions on a Z-order curve of voxels (N, 3): the bits of the three coordinates,
    interleaved."""
    bits = voxel[:, :, None].astype(np.int64) >> np.arange(_MORTON_BITS) & 1  # (N, 3, bits)
    return (bits << 3 * np.arange(_MORTON_BITS) + np.arange(3)[:, None]).sum(axis=(1, 2))


@cache
def _load_attention(device: str) -> Callable:
    """Compiled on a GPU, once for every sequence length; elsewhere uncompiled, which is slow, takes N x N
    memory and is for tests."""
    return torch.compile(flex_attention, dynamic=False) if device == "cuda" else flex_attention
