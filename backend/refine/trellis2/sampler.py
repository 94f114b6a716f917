"""Sampling: Euler steps from noisy latents to clean ones, which may start from partial noise (SDEdit, Meng et
al. 2022; docs/models/trellis2.md#sampling-and-partial-denoising).

A velocity is a function of latents (T, C) float32 and a noise level, 0 for texture to 1 for noise. It returns
noise minus texture, (T, C) float32.
"""

import itertools
from collections.abc import Callable, Sequence

import torch

SIGMA_MIN = 1e-5
"""Standard deviation of the noise that training leaves at noise level 0."""

Velocity = Callable[[torch.Tensor, float], torch.Tensor]


def noise_schedule(start: float, steps: int, rescale: float = 3.0) -> torch.Tensor:
    """(steps + 1,) float64 noise levels from exactly ``start`` to 0, spaced more closely near 0 the smaller
    ``rescale``; a single 0 if the start is 0."""
    if start == 0:
        return torch.zeros(1, dtype=torch.float64)
    # Even steps before the rescaling of time, which the start has to be mapped back through.
    even = torch.linspace(start / (rescale - (rescale - 1) * start), 0, steps + 1, dtype=torch.float64)
    schedule = rescale * even / (1 + (rescale - 1) * even)
    schedule[0] = start
    return schedule


def add_noise(latents: torch.Tensor, noise_level: float, noise: torch.Tensor) -> torch.Tensor:
    """Normalised latents (T, C) at a noise level; at 0 they are returned unchanged.

    Args:
        latents: (T, C) float32.
        noise_level: 0 to 1.
        noise: (T, C) float32, normal.
    """
    return (
        (1 - noise_level) * latents + (SIGMA_MIN + (1 - SIGMA_MIN) * noise_level) * noise
        if noise_level
        else latents
    )


@torch.no_grad()
def denoise(
    velocity: Velocity, x: torch.Tensor, schedule: torch.Tensor, progress: Callable[[float], None]
) -> torch.Tensor:
    """Latents (T, C) float32 at the last noise level of the schedule.

    Args:
        velocity: see above.
        x: (T, C) float32 at the first noise level.
        schedule: falling noise levels; see :func:`noise_schedule`.
        progress: called with the fraction done after every step.
    """
    steps = list(itertools.pairwise(schedule.tolist()))
    for done, (noise_level, following) in enumerate(steps, 1):
        x = x - (noise_level - following) * velocity(x, noise_level)
        progress(done / len(steps))
    return x


def average_velocities(velocities: Sequence[Velocity]) -> Velocity:
    """The mean velocity, for several images at once."""
    return lambda x, noise_level: sum(velocity(x, noise_level) for velocity in velocities) / len(velocities)
