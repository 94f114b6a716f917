"""A network put where its rung says, with everything that hurries it there (specs: orbitpainter e.3)."""

import torch
from diffusers import FirstBlockCacheConfig, WanTransformer3DModel
from torch import nn
from torch.utils._triton import has_triton

from .distilled_lora import Adapter
from .gasa import branched
from .memory_plan import RUNGS, Rung
from .quantization import squeeze
from .sampler import Sampling

COMPILED_FROM = 20
"""Steps of a film from which on a minute of compilation pays."""


def placed(
    network: WanTransformer3DModel,
    rung: Rung,
    device: torch.device,
    sampling: Sampling,
    adapter: Adapter | None = None,
) -> WanTransformer3DModel:
    """The network with its adapter, held as a rung says and ready for a way of sampling; it works on
    ``device``."""
    _narrow(network, rung, device, adapter)
    if device.type == "cuda":
        attend_with(network, *quickest_attention(torch.cuda.get_device_capability(device)))
    if sampling.skipped_below is not None:
        # Ahead of streaming, which puts hooks of its own around a block's and takes some off after the first
        # step: inner ones stay.
        network.enable_cache(FirstBlockCacheConfig(threshold=sampling.skipped_below))
    if rung.streamed:
        network.enable_group_offload(
            onload_device=device,
            offload_type="block_level",
            num_blocks_per_group=1,
            use_stream=device.type == "cuda",
        )
        return network
    if device.type == "cuda" and compilable(rung, sampling) and not branched(network) and has_triton():
        torch._dynamo.config.suppress_errors = True  # a block that cannot be compiled works as it is
        network.compile_repeated_blocks()
    return network.to(device)


def compilable(rung: Rung, sampling: Sampling) -> bool:
    """Whether blocks are compiled: only those that no hook interrupts, and only for films that take longer
    than compiling."""
    return rung == RUNGS[0] and sampling.skipped_below is None and sampling.steps >= COMPILED_FROM


def quickest_attention(capability: tuple[int, int]) -> list[str]:
    """diffusers' names of exact attentions for an NVIDIA card of a compute capability, the quickest first."""
    return [
        *(["_flash_3"] if capability[0] == 9 else []),
        *(["flash"] if capability >= (8, 0) else []),
        "native",
    ]


def attend_with(network: WanTransformer3DModel, *names: str) -> None:
    """Sets the first of these attentions that is installed."""
    for name in names:
        try:
            return network.set_attention_backend(name)
        except RuntimeError:  # diffusers' word for a package that is not there
            continue


def _narrow(
    network: WanTransformer3DModel, rung: Rung, device: torch.device, adapter: Adapter | None
) -> None:
    """Adds the adapter, and holds weights in as few bits as the rung says.

    A loaded network lies on disk until its tensors are touched. Its blocks are changed one after the other,
    and go to the card at once if they stay there, so that memory never has the whole of a network that a rung
    holds in fewer bits or on the card.
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
        if rung.precision == "4bit":
            squeeze(block, device)
        if rung.precision == "fp8":
            for layer in block.modules():
                if isinstance(layer, nn.Linear):
                    layer.to(torch.float8_e4m3fn)
        if not rung.streamed:
            block.to(device)
    if rung.precision == "fp8":
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
