"""How the networks fit the card: what lies where, in which precision, and the next smaller way when it does not fit after all.

Sizes are arithmetic over the published networks, and time of what is streamed hides behind the work (specs: orbitpainter e.1, e.2); no
figure here has been measured on a GPU yet.
"""

from dataclasses import dataclass

import psutil
import torch
from diffusers import WanTransformer3DModel

GIGABYTES = {"bf16": 28.6, "fp8": 14.8}
"""Of one expert, by the precision of its weights."""

BLOCK_GIGABYTES = {"bf16": 0.71, "fp8": 0.36}
"""Of one of its 40 blocks."""

OUTSIDE_GIGABYTES = 0.5
"""Of what lies outside the blocks, which is never streamed."""

TOKEN_GIGABYTES = 1.1e-4
"""Of what a token needs while it is worked on."""

SPARE_GIGABYTES = 1.5
"""Left to Blender's window and to the driver."""


@dataclass(frozen=True)
class Rung:
    """One way to hold an expert.

    Attributes:
        precision: of the weights at rest, ``bf16`` or ``fp8``; work is always done in bf16.
        streamed: whether blocks wait in memory and come to the card one after the other, the next while one works.
    """

    precision: str
    streamed: bool

    def card(self, tokens: int) -> float:
        """Gigabytes of the card that it takes, with so many tokens at work."""
        weights = OUTSIDE_GIGABYTES + 2 * BLOCK_GIGABYTES[self.precision] if self.streamed else GIGABYTES[self.precision]
        return weights + TOKEN_GIGABYTES * tokens

    def memory(self) -> float:
        """Gigabytes of the machine's own memory that it takes."""
        return GIGABYTES[self.precision] if self.streamed else 0.0

    def __str__(self) -> str:
        return f"{'8-bit' if self.precision == 'fp8' else '16-bit'} weights{', streamed block by block' if self.streamed else ''}"


RUNGS = (Rung("bf16", False), Rung("bf16", True), Rung("fp8", False), Rung("fp8", True))
"""From the best to the smallest. Streaming costs time only, so it comes before 8 bits, which cost quality."""


def rungs(device: torch.device, tokens: int) -> list[Rung]:
    """The rungs to try on a device for a film of so many tokens, the best first. A CPU has one memory only, and no use for the others."""
    if device.type != "cuda":
        return [RUNGS[0]]
    # What other programs use, Blender among them, is not free.
    return fitting(torch.cuda.mem_get_info(device)[0] / 1e9, psutil.virtual_memory().available / 1e9, tokens)


def fitting(card: float, memory: float, tokens: int) -> list[Rung]:
    """The rungs that fit, the best first; the smallest of all if none does, for the figures are estimates.

    Args:
        card: gigabytes of the card that are free.
        memory: gigabytes of the machine's memory that are free.
        tokens: of the film.
    """
    found = [rung for rung in RUNGS if rung.card(tokens) + SPARE_GIGABYTES <= card and rung.memory() + SPARE_GIGABYTES <= memory]
    return found or [RUNGS[-1]]


def placed(network: WanTransformer3DModel, rung: Rung, device: torch.device) -> WanTransformer3DModel:
    """The network, held as a rung says; it works on ``device``."""
    if rung.precision == "fp8":
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    if rung.streamed:
        network.enable_group_offload(onload_device=device, offload_type="block_level", num_blocks_per_group=1,
                                     use_stream=device.type == "cuda")
        return network
    return network.to(device)
