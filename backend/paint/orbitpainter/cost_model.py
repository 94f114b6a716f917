"""How long a clip takes: the arithmetic of its steps, and how fast this machine multiplies
(docs/models/orbitpainter.md#operations-per-call).

The constants are judgement, not measurement: a network reaches only part of the speed of one large product,
and loading, the autoencoder and the savings of the first-block cache are not counted.
"""

import itertools
import time
from functools import cache

import torch

from .memory_plan import MemoryProfile
from .sampler import SamplingConfig

EFFICIENCY = 0.5
"""What a network's step reaches of the speed of one large product, as a fraction."""

STREAMED_GIGABYTES_PER_SECOND = 20.0
"""Speed at which streamed weights are copied to a GPU."""

TEXT_TOKENS = 512
"""Tokens of a prompt."""

_SPEED_TRIES = 4
"""Products that are timed, of which the fastest counts."""


def count_operations(config: dict, tokens: int) -> float:
    """Floating-point operations of one call of an expert, a multiplication and an addition being two.

    Args:
        config: of the network: its ``num_attention_heads``, ``attention_head_dim``, ``ffn_dim`` and
            ``num_layers``.
        tokens: of the clip, the reference's among them.
    """
    width = config["num_attention_heads"] * config["attention_head_dim"]
    # Per token, the four layers of the self-attention and two of the cross-attention, whose other two see
    # only the text; the two of the feed-forward layer.
    linear = 2 * (6 * width + 2 * config["ffn_dim"]) * width
    return config["num_layers"] * tokens * (linear + 4 * (tokens + TEXT_TOKENS) * width)


def count_calls(sampling: SamplingConfig) -> int:
    """How often an expert is called, if its cache saves nothing."""
    return sum(
        len(sampling.prompts_of(sampling.expert_at(sigma)))
        for sigma, _ in itertools.pairwise(sampling.sigmas().tolist())
    )


def estimate_seconds(
    config: dict, tokens: int, sampling: SamplingConfig, profile: MemoryProfile, speed: float
) -> float:
    """How long a clip's steps take, at most.

    Args:
        config, tokens: see :func:`count_operations`.
        sampling: how it is made.
        profile: how the experts are held; a step takes no less time than streaming its blocks.
        speed: of :func:`measure_speed`.
    """
    return count_calls(sampling) * max(
        count_operations(config, tokens) / (EFFICIENCY * speed),
        profile.host_gigabytes() / STREAMED_GIGABYTES_PER_SECOND,
    )


@cache
def measure_speed(device: torch.device) -> float:
    """Operations per second of one large bfloat16 product on a device, the best of a few."""
    size = 4096 if device.type == "cuda" else 512
    matrix = torch.ones(size, size, dtype=torch.bfloat16, device=device)
    return 2 * size**3 / min(_time_product(matrix) for _ in range(_SPEED_TRIES))


def _time_product(matrix: torch.Tensor) -> float:
    """Seconds of the product of a matrix with itself."""
    if matrix.device.type == "cuda":
        torch.cuda.synchronize(matrix.device)
    start = time.perf_counter()
    matrix @ matrix
    if matrix.device.type == "cuda":
        torch.cuda.synchronize(matrix.device)
    return time.perf_counter() - start
