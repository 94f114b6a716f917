"""How long a film takes: the arithmetic of its steps, and how fast this machine multiplies (specs:
orbitpainter e.1).

The constants are judgement, not measurement: a network reaches only part of the speed of one large product,
and loading, the autoencoder and what the first block's memory saves are not counted.
"""

import itertools
import time
from functools import cache

import torch

from .memory_plan import Rung
from .sampler import Sampling

EFFICIENCY = 0.5
"""Of the speed of one large product, what a network's step reaches."""

STREAMED_GIGABYTES = 20.0
"""That come to a card in a second."""

TEXT = 512
"""Tokens of a text."""

_TRIES = 4


def operations(config: dict, tokens: int) -> float:
    """Floating-point operations of one call of an expert, a multiplication and an addition being two.

    Args:
        config: of the network: its ``num_attention_heads``, ``attention_head_dim``, ``ffn_dim`` and
            ``num_layers``.
        tokens: of the film, the reference's among them.
    """
    width = config["num_attention_heads"] * config["attention_head_dim"]
    # Four matrices of the self-attention and two of the cross-attention, whose others see the text only; the
    # two of the feed-forward layer.
    linear = 2 * (6 * width + 2 * config["ffn_dim"]) * width
    return config["num_layers"] * tokens * (linear + 4 * (tokens + TEXT) * width)


def calls(sampling: Sampling) -> int:
    """How often an expert is asked, if its memory spares nothing."""
    return sum(
        len(sampling.texts(sampling.expert(level)))
        for level, _ in itertools.pairwise(sampling.levels().tolist())
    )


def seconds(config: dict, tokens: int, sampling: Sampling, rung: Rung, speed: float) -> float:
    """How long a film's steps take, at most.

    Args:
        config, tokens: see :func:`operations`.
        sampling: how it is made.
        rung: how the experts are held; a step takes no less time than its blocks take to arrive.
        speed: of :func:`speed`.
    """
    return calls(sampling) * max(
        operations(config, tokens) / (EFFICIENCY * speed), rung.memory() / STREAMED_GIGABYTES
    )


@cache
def speed(device: torch.device) -> float:
    """Operations per second of one large bfloat16 product on a device, the best of a few."""
    side = 4096 if device.type == "cuda" else 512
    matrix = torch.ones(side, side, dtype=torch.bfloat16, device=device)
    return 2 * side**3 / min(_seconds(matrix) for _ in range(_TRIES))


def _seconds(matrix: torch.Tensor) -> float:
    if matrix.device.type == "cuda":
        torch.cuda.synchronize(matrix.device)
    start = time.perf_counter()
    matrix @ matrix
    if matrix.device.type == "cuda":
        torch.cuda.synchronize(matrix.device)
    return time.perf_counter() - start
