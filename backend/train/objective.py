"""What is trained: the flow's velocity from noise to the clip, at the noise levels at which an expert is used
(Ink3D eq. 7; docs/models/orbitpainter.md#training-recipe)."""

from dataclasses import dataclass

import torch
from diffusers import WanTransformer3DModel

from ..paint.orbitpainter.network import predict_velocity
from ..paint.orbitpainter.sampler import SamplingConfig

TRAINING_NOISE_LEVELS = 1000
"""How many noise levels the training draws from."""

EXPERT_NOISE_LEVELS = {"high": slice(0, 358), "low": slice(358, TRAINING_NOISE_LEVELS)}
"""The noise levels of each expert. They meet at 0.9; sampling changes experts at 0.875."""


@dataclass(frozen=True)
class NoiseLevels:
    """The noise levels of an expert, all equally probable.

    Attributes:
        timestep: (N,) float32, as the network is given it: 1000 times the noise level, rounded to bfloat16.
        sigma: (N,) float32, the noise level of the grid nearest to that.
        weight: (N,) float32, factor of the error there; 1 on average over both experts.
    """

    timestep: torch.Tensor
    sigma: torch.Tensor
    weight: torch.Tensor


def expert_noise_levels(expert: str) -> NoiseLevels:
    """The noise levels of ``high`` or ``low``."""
    sigmas = SamplingConfig(steps=TRAINING_NOISE_LEVELS).sigmas()[:-1]
    bell = torch.exp(-2 * (sigmas - 0.5) ** 2)
    weights = (bell - bell.min()) / (bell - bell.min()).mean()
    timesteps = (1000 * sigmas[EXPERT_NOISE_LEVELS[expert]]).float().bfloat16().float()
    nearest = (1000 * sigmas - timesteps[:, None]).abs().argmin(dim=1)
    return NoiseLevels(timesteps, sigmas[nearest].float(), weights[nearest].float())


def velocity_loss(
    network: WanTransformer3DModel,
    color: torch.Tensor,
    condition: torch.Tensor,
    text: torch.Tensor,
    noise: torch.Tensor,
    level: NoiseLevels,
) -> torch.Tensor:
    """() float32: the weighted mean square error of the network's velocity.

    Args:
        network: an expert.
        color, condition: of :meth:`backend.train.examples.Example.read`.
        text: (1, 512, C) embedding.
        noise: (1, 16, T, h, w) float32.
        level: a single noise level, N = 1.
    """
    noisy = (1 - level.sigma) * color + level.sigma * noise
    return level.weight[0] * torch.nn.functional.mse_loss(
        predict_velocity(network, noisy, condition, level.timestep, text), noise - color
    )
