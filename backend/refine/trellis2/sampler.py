"""From noisy latents to clean ones: Euler steps that may start midway (specs: trellis2, f; SDEdit, Meng et
al. 2022).

A velocity is a function of latents (T, C) float32 and a noise level, 0 for texture to 1 for noise. It gives
noise minus texture, (T, C) float32.
"""

import itertools
from collections.abc import Callable, Sequence

import torch

SIGMA_MIN = 1e-5
"""Noise that is left at level 0, in training."""

Velocity = Callable[[torch.Tensor, float], torch.Tensor]


def noise_schedule(start: float, steps: int, rescale: float = 3.0) -> torch.Tensor:
    """(steps + 1,) float64 noise levels from exactly ``start`` to 0, closer to each other near 0 the smaller
    ``rescale``; only 0 from 0."""
    if start == 0:
        return torch.zeros(1, dtype=torch.float64)
    even = torch.linspace(start / (rescale - (rescale - 1) * start), 0, steps + 1, dtype=torch.float64)
    levels = rescale * even / (1 + (rescale - 1) * even)
    levels[0] = start
    return levels


def add_noise(latents: torch.Tensor, start: float, noise: torch.Tensor) -> torch.Tensor:
    """Normalised latents (T, C) at a noise level; at 0 they are as they were.

    Args:
        latents: (T, C) float32.
        start: the level, 0 to 1.
        noise: (T, C) float32, normal.
    """
    return (1 - start) * latents + (SIGMA_MIN + (1 - SIGMA_MIN) * start) * noise if start else latents


@torch.no_grad()
def denoise(
    velocity: Velocity, x: torch.Tensor, times: torch.Tensor, progress: Callable[[float], None]
) -> torch.Tensor:
    """Latents (T, C) float32 at the last of the times.

    Args:
        velocity: see above.
        x: (T, C) float32 at the first of the times.
        times: falling noise levels.
        progress: told the fraction done after every step.
    """
    steps = list(itertools.pairwise(times.tolist()))
    for done, (level, following) in enumerate(steps, 1):
        x = x - (level - following) * velocity(x, level)
        progress(done / len(steps))
    return x


def average_velocities(velocities: Sequence[Velocity]) -> Velocity:
    """The mean of what several images ask for."""
    return lambda x, level: sum(velocity(x, level) for velocity in velocities) / len(velocities)


def guide_velocity(
    wanted: Velocity, unwanted: Velocity, strength: float, interval: tuple[float, float] = (0.0, 1.0)
) -> Velocity:
    """Goes from what no image asks for to what an image does, and beyond where the strength is above 1;
    outside the interval of noise levels it asks for the image alone (Kynkäänniemi et al. 2024)."""

    def velocity(x: torch.Tensor, level: float) -> torch.Tensor:
        if strength == 1 or not interval[0] <= level <= interval[1]:
            return wanted(x, level)
        without = unwanted(x, level)
        return without + strength * (wanted(x, level) - without) if strength else without

    return velocity
