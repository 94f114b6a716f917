"""What is learnt: to go from noise to the picture, at the noise levels that an expert works at (specs:
orbitpainter a.9; Ink3D eq. 7)."""

from dataclasses import dataclass

import torch
from diffusers import WanTransformer3DModel

from ..paint.orbitpainter.network import velocity
from ..paint.orbitpainter.sampler import Sampling

LEVELS = 1000
"""Noise levels of the training."""

WINDOWS = {"high": slice(0, 358), "low": slice(358, LEVELS)}
"""Those of each expert. They part at 0.9; sampling changes experts at 0.875."""


@dataclass(frozen=True)
class Moments:
    """The noise levels of an expert, all equally likely.

    Attributes:
        time: (N,) float32, what the network is told: 1000 times the level, rounded to bfloat16.
        level: (N,) float32, the level of the grid nearest to that.
        weight: (N,) float32 of the error there; 1 on average over both experts.
    """

    time: torch.Tensor
    level: torch.Tensor
    weight: torch.Tensor


def moments(expert: str) -> Moments:
    """The noise levels of ``high`` or ``low``."""
    levels = Sampling(steps=LEVELS).levels()[:-1]
    bell = torch.exp(-2 * (levels - 0.5) ** 2)
    weights = (bell - bell.min()) / (bell - bell.min()).mean()
    times = (1000 * levels[WINDOWS[expert]]).float().bfloat16().float()
    nearest = (1000 * levels - times[:, None]).abs().argmin(dim=1)
    return Moments(times, levels[nearest].float(), weights[nearest].float())


def loss(
    network: WanTransformer3DModel,
    color: torch.Tensor,
    condition: torch.Tensor,
    text: torch.Tensor,
    noise: torch.Tensor,
    at: Moments,
) -> torch.Tensor:
    """() float32: the weighted mean square error of the network's velocity.

    Args:
        network: an expert.
        color, condition: of :meth:`backend.train.examples.Example.read`.
        text: (1, 512, C) embedding.
        noise: (1, 16, T, h, w) float32.
        at: a single moment, N = 1.
    """
    noisy = (1 - at.level) * color + at.level * noise
    return at.weight[0] * torch.nn.functional.mse_loss(
        velocity(network, noisy, condition, at.time, text), noise - color
    )
