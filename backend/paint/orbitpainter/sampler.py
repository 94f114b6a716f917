"""From noise to latents: Euler steps over the published noise levels, with one expert for the high ones and
one for the low."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import WanTransformer3DModel

from .network import predict_velocity

EXPERT_NAMES = ("high", "low")
"""The names of the two networks, in the order in which they are used."""


@dataclass(frozen=True)
class SamplingConfig:
    """How to sample. The defaults are the published values, except for ``round_timesteps``
    (docs/models/orbitpainter.md#noise-levels-experts-and-guidance).

    Attributes:
        steps: Euler steps.
        shift: how much of them lies at high noise (flow matching's timestep shift).
        boundary: noise level below which the second expert is used.
        guidance: scale of classifier-free guidance; 1 evaluates the positive prompt alone.
        guided: the experts that are guided; the others are evaluated once per step instead of twice.
        cache_threshold: threshold of the first-block cache: the largest relative change of the first block's
            residual at which the other blocks' last results are used again; None for no cache.
        distilled: whether the experts are those with the four-step LoRA, which need no guidance.
        round_timesteps: whether timesteps are rounded to bfloat16, as in training and in the authors' code.
    """

    steps: int = 50
    shift: float = 5.0
    boundary: float = 0.875
    guidance: float = 6.0
    guided: tuple[str, ...] = EXPERT_NAMES
    cache_threshold: float | None = None
    distilled: bool = False
    round_timesteps: bool = False

    @property
    def caches_blocks(self) -> bool:
        """Whether there is a first-block cache."""
        return self.cache_threshold is not None

    def sigmas(self) -> torch.Tensor:
        """(steps + 1,) float64 noise levels from 1 to 0."""
        uniform = 1 - torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        return self.shift * uniform / (1 + (self.shift - 1) * uniform)

    def expert_at(self, sigma: float) -> str:
        """Which network is used at a noise level."""
        return EXPERT_NAMES[0] if sigma >= self.boundary else EXPERT_NAMES[1]

    def prompts_of(self, expert: str) -> tuple[str, ...]:
        """Which of the :class:`Prompts` an expert is evaluated for at each step."""
        return ("positive", "negative") if self.guidance != 1 and expert in self.guided else ("positive",)

    def timestep(self, sigma: float) -> float:
        """The timestep that a network is given for a noise level."""
        timestep = torch.tensor(1000 * sigma, dtype=torch.float32)
        return float(timestep.bfloat16() if self.round_timesteps else timestep)


@dataclass(frozen=True)
class Prompts:
    """Embeddings (1, 512, C) of the two prompts, zero beyond the end of the text."""

    positive: torch.Tensor
    negative: torch.Tensor


def sample_noise(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Standard normal noise, the same on every machine."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32)


@torch.no_grad()
def denoise(
    load_expert: Callable[[str], WanTransformer3DModel],
    latents: torch.Tensor,
    condition: torch.Tensor,
    prompts: Prompts,
    sampling: SamplingConfig,
    progress: Callable[[float], None],
    first_frame: torch.Tensor | None = None,
    preview: Callable[[torch.Tensor], None] = lambda latents: None,
) -> torch.Tensor:
    """Latents (1, 16, T, h, w) float32 of the painted clips.

    Args:
        load_expert: returns the network of a name, ready to use; called at every step, so that only one needs
            to be in memory.
        latents: (1, 16, T, h, w) float32 noise.
        condition: see :func:`backend.paint.orbitpainter.network.pack_condition`.
        prompts: the two embedded texts.
        sampling: how.
        progress: receives the fraction done after every step.
        first_frame: (1, 16, 1, h, w) latent that the first frame is fixed to, without noise, before the first
            step and after each.
        preview: receives, at every step, the clean latents that this step's velocity predicts.
    """
    latents = _inject_first_frame(latents, first_frame)
    previous_name = ""
    for step, (sigma, next_sigma) in enumerate(itertools.pairwise(sampling.sigmas().tolist())):
        name = sampling.expert_at(sigma)
        network = load_expert(name)
        if name != previous_name:  # a cache of another clip, or of this expert's last turn, must not be used
            network._reset_stateful_cache()
            previous_name = name
        # One evaluation per prompt.
        timestep = torch.tensor([sampling.timestep(sigma)], device=latents.device)
        velocities = [
            _predict_for_prompt(network, prompt, latents, condition, timestep, prompts)
            for prompt in sampling.prompts_of(name)
        ]
        del network  # or it would stay in memory beside the next
        # Classifier-free guidance.
        velocity = velocities[0]
        if len(velocities) > 1:
            velocity = velocities[-1] + sampling.guidance * (velocities[0] - velocities[-1])
        preview(_inject_first_frame(latents - sigma * velocity, first_frame))
        # Euler step.
        latents = _inject_first_frame(latents + (next_sigma - sigma) * velocity, first_frame)
        progress((step + 1) / sampling.steps)
    return latents


def _predict_for_prompt(
    network: WanTransformer3DModel,
    prompt: str,
    latents: torch.Tensor,
    condition: torch.Tensor,
    timestep: torch.Tensor,
    prompts: Prompts,
) -> torch.Tensor:
    """The velocity for one of the prompts, which has a first-block cache of its own."""
    with network.cache_context(prompt):
        return predict_velocity(network, latents, condition, timestep, getattr(prompts, prompt))


def _inject_first_frame(latents: torch.Tensor, first_frame: torch.Tensor | None) -> torch.Tensor:
    return latents if first_frame is None else torch.cat([first_frame.to(latents), latents[:, :, 1:]], dim=2)
