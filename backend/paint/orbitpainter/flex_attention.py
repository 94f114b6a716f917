"""The sparse branch's attention on a GPU: FlexAttention over blocks of tokens that lie near each other
(specs: orbitpainter d.5).

Tokens are put in Morton order of their voxels, so that neighbours fall into few pairs of blocks; only those
pairs are worked on, and within them a mask says who attends to whom. It is the same attention as
:meth:`backend.paint.orbitpainter.gasa.Neighbours.attend`, row by row.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from .gasa import RADIUS, Neighbours

BLOCK = 128
"""Tokens of a block."""

_BITS = 7
"""Of a voxel's place along an axis, from 0 to 64."""


@dataclass(frozen=True)
class Blocks:
    """Who attends to whom, for FlexAttention.

    Attributes:
        order: (N,) int64 the tokens' numbers in Morton order, those without surface last.
        place: (N,) int64 where each token comes in it.
        mask: which pairs of blocks have neighbours, and of their tokens, which are.
    """

    order: torch.Tensor
    place: torch.Tensor
    mask: BlockMask

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(N, H, D): softmax attention of N tokens (N, H, D) to their neighbours; zero where there are
        none."""
        query, key, value = (part[self.order].transpose(0, 1)[None] for part in (query, key, value))
        return _attention(query.device.type)(query, key, value, block_mask=self.mask)[0].transpose(0, 1)[
            self.place
        ]


def blocks(voxel: np.ndarray, frame: np.ndarray, near: Neighbours, device: torch.device) -> Blocks:
    """The blocks of tokens with voxels (N, 3) int32 and frames (N,) int32, see
    :func:`backend.paint.orbitpainter.gasa.token_places`.

    Args:
        voxel, frame: where the tokens are.
        near: their neighbours.
        device: where the attention works.
    """
    order = np.argsort(np.where(voxel[:, 0] >= 0, morton(voxel), np.iinfo(np.int64).max), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    count = -(-len(order) // BLOCK)
    pairs = np.zeros((count, count), bool)
    pairs[np.repeat(place, near.first.diff().numpy()) // BLOCK, place[near.index.numpy()] // BLOCK] = True
    number = torch.from_numpy(pairs.sum(axis=1, dtype=np.int32)).to(device)
    index = torch.from_numpy(np.argsort(~pairs, axis=1, kind="stable").astype(np.int32)).to(device)
    # Columns apart and numbers one by one: looking up a row of three and taking one of it compiles to
    # something else (torch 2.13).
    x, y, z, film = (
        torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in (*voxel[order].T, frame[order])
    )

    def neighbouring(batch, head, one, other):
        close = (
            ((x[one] - x[other]).abs() <= RADIUS)
            & ((y[one] - y[other]).abs() <= RADIUS)
            & ((z[one] - z[other]).abs() <= RADIUS)
        )
        return close & (film[one] != film[other]) & (x[one] >= 0) & (x[other] >= 0)

    mask = BlockMask.from_kv_blocks(
        number[None, None],
        index[None, None],
        BLOCK_SIZE=BLOCK,
        mask_mod=neighbouring,
        seq_lengths=(len(order), len(order)),
    )
    return Blocks(torch.from_numpy(order).to(device), torch.from_numpy(place).to(device), mask)


def morton(voxel: np.ndarray) -> np.ndarray:
    """(N,) int64 places along a Z-order curve of voxels (N, 3): the bits of the three numbers,
    interleaved."""
    bits = voxel[:, :, None].astype(np.int64) >> np.arange(_BITS) & 1
    return (bits << 3 * np.arange(_BITS) + np.arange(3)[:, None]).sum(axis=(1, 2))


@cache
def _attention(device: str):
    """Compiled on a GPU, once for every size of a film; elsewhere as written, which is slow and takes N x N
    memory, and is for tests."""
    return torch.compile(flex_attention, dynamic=False) if device == "cuda" else flex_attention
