"""The memory profiles (:mod:`backend.api.memory_profiles`) that fit a device as it is now."""

import psutil
import torch

from ...api.memory_profiles import MEMORY_PROFILES, MemoryProfile, profiles_that_fit
from .sampler import SamplingConfig


def plan_memory(device: torch.device, tokens: int, sampling: SamplingConfig) -> list[MemoryProfile]:
    """The profiles to try on a device for a clip of ``tokens`` tokens, the best first. A CPU has only one
    memory, so the others would not help it."""
    if device.type != "cuda":
        return [MEMORY_PROFILES[0]]
    # Memory that other programs use, Blender among them, is not free.
    gpu, host = torch.cuda.mem_get_info(device)[0] / 1e9, psutil.virtual_memory().available / 1e9
    return profiles_that_fit(gpu, host, tokens, sampling.caches_blocks)
