"""The rungs (:mod:`backend.api.memory_profiles`) that fit a device as it is now."""

import psutil
import torch

from ...api.memory_profiles import RUNGS, Rung, fitting
from .sampler import Sampling


def rungs(device: torch.device, tokens: int, sampling: Sampling) -> list[Rung]:
    """The rungs to try on a device for a film of so many tokens, the best first. A CPU has one memory only,
    and no use for the others."""
    if device.type != "cuda":
        return [RUNGS[0]]
    # What other programs use, Blender among them, is not free.
    card, memory = torch.cuda.mem_get_info(device)[0] / 1e9, psutil.virtual_memory().available / 1e9
    return fitting(card, memory, tokens, sampling.skipped_below is not None)
