"""A network's weights put where its memory profile says, with everything that speeds it up there
(docs/models/orbitpainter.md#how-the-network-is-placed-on-the-card)."""

import torch
from diffusers import FirstBlockCacheConfig, WanTransformer3DModel
from torch import nn
from torch.utils._triton import has_triton

from .distilled_lora import LoraAdapter
from .gasa import has_sparse_branches
from .memory_plan import MEMORY_PROFILES, MemoryProfile
from .quantization import quantize_linear_layers
from .sampler import SamplingConfig

COMPILE_FROM_STEPS = 20
"""Steps of a clip from which on a minute of compilation pays."""


def prepare_for_device(
    network: WanTransformer3DModel,
    profile: MemoryProfile,
    device: torch.device,
    sampling: SamplingConfig,
    adapter: LoraAdapter | None = None,
) -> WanTransformer3DModel:
    """The network with its adapter merged, held as a memory profile says and ready for a way of sampling; it
    computes on ``device``."""
    _merge_and_cast(network, profile, device, adapter)
    if device.type == "cuda":
        set_attention_backend(network, *attention_backends(torch.cuda.get_device_capability(device)))
    if sampling.caches_blocks:
        # Before streaming, which puts hooks of its own around those of a block and takes some off after the
        # first step: the inner ones stay.
        network.enable_cache(FirstBlockCacheConfig(threshold=sampling.cache_threshold))
    if profile.streamed:
        network.enable_group_offload(
            onload_device=device,
            offload_type="block_level",
            num_blocks_per_group=1,
            use_stream=device.type == "cuda",
        )
        return network
    if (
        device.type == "cuda"
        and should_compile(profile, sampling)
        and not has_sparse_branches(network)
        and has_triton()
    ):
        torch._dynamo.config.suppress_errors = True  # a block that cannot be compiled runs uncompiled
        network.compile_repeated_blocks()
    return network.to(device)


def should_compile(profile: MemoryProfile, sampling: SamplingConfig) -> bool:
    """Whether blocks are compiled: only those that no hook interrupts, and only for clips that take longer
    than compiling."""
    return (
        profile == MEMORY_PROFILES[0] and not sampling.caches_blocks and sampling.steps >= COMPILE_FROM_STEPS
    )


def attention_backends(capability: tuple[int, int]) -> list[str]:
    """diffusers' names of exact attention implementations for an NVIDIA GPU of a compute capability, the
    fastest first."""
    return [
        *(["_flash_3"] if capability[0] == 9 else []),
        *(["flash"] if capability >= (8, 0) else []),
        "native",
    ]


def set_attention_backend(network: WanTransformer3DModel, *names: str) -> None:
    """Sets the first of these attention implementations that is installed."""
    for name in names:
        try:
            return network.set_attention_backend(name)
        except RuntimeError:  # diffusers raises this for a package that is not installed
            continue


def _merge_and_cast(
    network: WanTransformer3DModel,
    profile: MemoryProfile,
    device: torch.device,
    adapter: LoraAdapter | None,
) -> None:
    """Merges the adapter, and casts or quantizes the weights to the profile's precision.

    A loaded network is mapped from disk until its tensors are used. Its blocks are changed one after the
    other, and go to the GPU at once if they stay there, so that memory never holds the whole of a network
    that a profile holds in fewer bits or on the GPU.
    """
    if adapter:
        adapter.merge(
            {name: tensor for name, tensor in network.named_parameters() if not name.startswith("blocks.")},
            device,
        )
    for index, block in enumerate(network.blocks):
        if adapter:
            adapter.merge(
                {f"blocks.{index}.{name}": tensor for name, tensor in block.named_parameters()}, device
            )
        if profile.precision == "4bit":
            quantize_linear_layers(block, device)
        if profile.precision == "fp8":
            for layer in block.modules():
                if isinstance(layer, nn.Linear):
                    layer.to(torch.float8_e4m3fn)
        if not profile.streamed:
            block.to(device)
    if profile.precision == "fp8":
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
