"""From noise to latents: Euler steps over the published noise levels, with one expert for the high ones and
one for the low."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import WanTransformer3DModel

from .network import velocity

EXPERTS = ("high", "low")
"""The names of the two networks, in the order in which they work."""


@dataclass(frozen=True)
class Sampling:
    """How to go from noise to a picture; the defaults are the published ones (specs: orbitpainter a.6).

    Attributes:
        steps: Euler steps.
        shift: how much of them lies at high noise.
        boundary: noise level below which the second expert works.
        guidance: how far to go from what the negative prompt gives to what the prompt gives, and beyond; 1
            asks for the prompt alone.
        guided: the experts that are guided; the others are asked once per step instead of twice.
        skipped_below: how little, in relation, the change that an expert's first block makes may differ from
            the last time its other blocks worked, for what they made then to be used again; None where they
            always work.
        distilled: whether the experts are those that were taught to need four steps and no guidance.
        rounded_times: whether the networks are told times that bfloat16 can hold, as in training.
    """

    steps: int = 50
    shift: float = 5.0
    boundary: float = 0.875
    guidance: float = 6.0
    guided: tuple[str, ...] = EXPERTS
    skipped_below: float | None = None
    distilled: bool = False
    rounded_times: bool = False

    def levels(self) -> torch.Tensor:
        """(steps + 1,) float64 noise levels from 1 to 0."""
        rest = 1 - torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        return self.shift * rest / (1 + (self.shift - 1) * rest)

    def expert(self, level: float) -> str:
        """Which network works at a noise level."""
        return EXPERTS[0] if level >= self.boundary else EXPERTS[1]

    def texts(self, name: str) -> tuple[str, ...]:
        """Which of the :class:`Prompts` an expert is asked about at each step."""
        return ("wanted", "unwanted") if self.guidance != 1 and name in self.guided else ("wanted",)

    def time(self, level: float) -> float:
        """What a network is told of a noise level."""
        time = torch.tensor(1000 * level, dtype=torch.float32)
        return float(time.bfloat16() if self.rounded_times else time)


@dataclass(frozen=True)
class Prompts:
    """Embeddings (1, 512, C), zero beyond the end of the text."""

    wanted: torch.Tensor
    unwanted: torch.Tensor


def noise(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Normal noise, the same on every machine."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32)


@torch.no_grad()
def denoise(
    expert: Callable[[str], WanTransformer3DModel],
    latents: torch.Tensor,
    condition: torch.Tensor,
    prompts: Prompts,
    sampling: Sampling,
    progress: Callable[[float], None],
    first_frame: torch.Tensor | None = None,
    look: Callable[[torch.Tensor], None] = lambda latents: None,
) -> torch.Tensor:
    """Latents (1, 16, T, h, w) float32 of the painted film.

    Args:
        expert: gives the network of a name, ready to work; asked again at every step, so that it may hold
            only one of them.
        latents: (1, 16, T, h, w) float32 noise.
        condition: see :func:`backend.paint.orbitpainter.network.condition`.
        prompts: of the text.
        sampling: how.
        progress: told the fraction done after every step.
        first_frame: (1, 16, 1, h, w) latent that the first frame shall be; it is put in clean, before the
            first step and after each.
        look: shown, at every step, the latents as they would be if the rest of the noise went the same way.
    """
    levels = sampling.levels().tolist()
    latents, working = _with_first(latents, first_frame), ""
    for step, (level, following) in enumerate(itertools.pairwise(levels)):
        name = sampling.expert(level)
        network = expert(name)
        if name != working:  # nothing that it remembers of another film, or of its last turn, is of use now
            network._reset_stateful_cache()
            working = name
        time = torch.tensor([sampling.time(level)], device=latents.device)
        directions = [
            _asked(network, text, latents, condition, time, prompts) for text in sampling.texts(name)
        ]
        del network  # or it would stay in memory beside the next
        direction = (
            directions[-1] + sampling.guidance * (directions[0] - directions[-1])
            if len(directions) > 1
            else directions[0]
        )
        look(_with_first(latents - level * direction, first_frame))
        latents = _with_first(latents + (following - level) * direction, first_frame)
        progress((step + 1) / sampling.steps)
    return latents


def _asked(
    network: WanTransformer3DModel,
    text: str,
    latents: torch.Tensor,
    condition: torch.Tensor,
    time: torch.Tensor,
    prompts: Prompts,
) -> torch.Tensor:
    with network.cache_context(text):
        return velocity(network, latents, condition, time, getattr(prompts, text))


def _with_first(latents: torch.Tensor, first_frame: torch.Tensor | None) -> torch.Tensor:
    return latents if first_frame is None else torch.cat([first_frame.to(latents), latents[:, :, 1:]], dim=2)
