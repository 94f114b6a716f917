"""How OrbitPainter's networks fit into a GPU's memory: where weights lie, in which precision, and which
smaller profile comes next when one does not fit after all.

Sizes are arithmetic over the published networks, and the time of streaming is hidden behind the computation
(docs/models/orbitpainter.md#memory-and-streaming); no figure here has been measured on a GPU yet. Plain
arithmetic without torch, so that Blender estimates exactly what the painter does.
"""

from dataclasses import dataclass

EXPERT_GIGABYTES = {"bf16": 28.6, "fp8": 14.8, "4bit": 8.4}
"""Size of one expert, by the precision of its weights."""

BLOCK_GIGABYTES = {"bf16": 0.71, "fp8": 0.36, "4bit": 0.2}
"""Size of one of an expert's 40 blocks, by the precision of its weights."""

NON_BLOCK_GIGABYTES = 0.5
"""Size of the weights outside the blocks, which are never streamed."""

PUBLISHED_TOKENS = 32_768
"""Tokens that the network processes at once for a clip of the published weights."""

FIRST_BLOCK_CACHE_QUALITIES = {"balanced"}
"""The qualities that sample with a first-block cache."""

ACTIVATION_GIGABYTES_PER_TOKEN = 1.1e-4
"""Memory of the activations of one token."""

CACHE_GIGABYTES_PER_TOKEN = 6.2e-5
"""Memory that the first-block cache keeps of one token: three times its 5120 channels for each of two
prompts."""

AUTOENCODER_GIGABYTES = {False: 6.0, True: 2.5}
"""Memory to encode and decode views of 512 x 512, whole (False) and in tiles (True); no expert is on the GPU
then."""

SPARE_GIGABYTES = 1.5
"""Memory left to Blender's window and to the driver."""


@dataclass(frozen=True)
class MemoryProfile:
    """One way to hold an expert in memory.

    Attributes:
        precision: of the weights at rest, ``bf16``, ``fp8`` or ``4bit``; computation is always in bf16.
        streamed: whether blocks wait in the machine's memory and are copied to the GPU one after the other,
            the next one while one computes (diffusers' group offloading).
        tiled: whether the autoencoder works on overlapping tiles of 256 x 256, blended: less memory and more
            time, and images change a little, as a tile does not see beyond its border.
    """

    precision: str
    streamed: bool
    tiled: bool = False

    def gpu_gigabytes(self, tokens: int, cached: bool = False) -> float:
        """Memory of the GPU that it takes at the peak.

        Args:
            tokens: processed at once.
            cached: whether a first-block cache is kept.
        """
        weights = (
            NON_BLOCK_GIGABYTES + 2 * BLOCK_GIGABYTES[self.precision]
            if self.streamed
            else EXPERT_GIGABYTES[self.precision]
        )
        activations = (ACTIVATION_GIGABYTES_PER_TOKEN + cached * CACHE_GIGABYTES_PER_TOKEN) * tokens
        return max(weights + activations, AUTOENCODER_GIGABYTES[self.tiled])

    def host_gigabytes(self) -> float:
        """The machine's own memory that it takes."""
        return EXPERT_GIGABYTES[self.precision] if self.streamed else 0.0

    def __str__(self) -> str:
        bits = {"bf16": 16, "fp8": 8, "4bit": 4}[self.precision]
        return (
            f"{bits}-bit weights{', streamed block by block' if self.streamed else ''}"
            f"{', images in tiles' if self.tiled else ''}"
        )


MEMORY_PROFILES = (
    MemoryProfile("bf16", False),
    MemoryProfile("bf16", True),
    MemoryProfile("fp8", False),
    MemoryProfile("fp8", True),
    MemoryProfile("fp8", True, tiled=True),
    MemoryProfile("4bit", False),
    MemoryProfile("4bit", True, tiled=True),
)
"""From the best to the smallest. Streaming costs only time, so it comes before fewer bits, which cost
quality."""


def profiles_that_fit(gpu: float, host: float, tokens: int, cached: bool = False) -> list[MemoryProfile]:
    """The profiles that fit, the best first; if none does, the smallest, as the figures are estimates.

    Args:
        gpu: free gigabytes of the GPU's memory.
        host: free gigabytes of the machine's memory.
        tokens: of the clip.
        cached: whether a first-block cache is kept.
    """
    fitting = [
        profile
        for profile in MEMORY_PROFILES
        if profile.gpu_gigabytes(tokens, cached) + SPARE_GIGABYTES <= gpu
        and profile.host_gigabytes() + SPARE_GIGABYTES <= host
    ]
    return fitting or [MEMORY_PROFILES[-1]]
