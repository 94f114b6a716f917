"""How OrbitPainter's networks fit a card: what lies where, in which precision, and the next smaller way when
it does not fit after all.

Sizes are arithmetic over the published networks, and time of what is streamed hides behind the work (specs:
orbitpainter e.1 to e.3); no figure here has been measured on a GPU yet. Plain arithmetic, so that Blender
reckons as the painter does.
"""

from dataclasses import dataclass

GIGABYTES = {"bf16": 28.6, "fp8": 14.8, "4bit": 8.4}
"""Of one expert, by the precision of its weights."""

TOKENS = 32_768
"""At work at once in a film of the published weights."""

REMEMBERING = {"balanced"}
"""The qualities that keep blocks' last results from step to step."""

BLOCK_GIGABYTES = {"bf16": 0.71, "fp8": 0.36, "4bit": 0.2}
"""Of one of its 40 blocks."""

OUTSIDE_GIGABYTES = 0.5
"""Of what lies outside the blocks, which is never streamed."""

TOKEN_GIGABYTES = 1.1e-4
"""Of what a token needs while it is worked on."""

REMEMBERED_GIGABYTES = 6.2e-5
"""Of what is kept of a token from step to step, where blocks are skipped: three times its 5120 channels for
each of two texts."""

AUTOENCODER_GIGABYTES = {False: 6.0, True: 2.5}
"""That encoding and decoding a view of 512 x 512 takes, whole and in tiles; no expert is on the card then."""

SPARE_GIGABYTES = 1.5
"""Left to Blender's window and to the driver."""


@dataclass(frozen=True)
class Rung:
    """One way to hold an expert.

    Attributes:
        precision: of the weights at rest, ``bf16``, ``fp8`` or ``4bit``; work is always done in bf16.
        streamed: whether blocks wait in memory and come to the card one after the other, the next while one
            works.
        tiled: whether the autoencoder works on overlapping tiles of 256 x 256, blended: it takes less room
            and longer, and pictures change a little, as a tile does not see beyond itself.
    """

    precision: str
    streamed: bool
    tiled: bool = False

    def card(self, tokens: int, remembered: bool = False) -> float:
        """Gigabytes of the card that it takes at most, with so many tokens at work, whose last results may be
        remembered."""
        weights = (
            OUTSIDE_GIGABYTES + 2 * BLOCK_GIGABYTES[self.precision]
            if self.streamed
            else GIGABYTES[self.precision]
        )
        work = (TOKEN_GIGABYTES + remembered * REMEMBERED_GIGABYTES) * tokens
        return max(weights + work, AUTOENCODER_GIGABYTES[self.tiled])

    def memory(self) -> float:
        """Gigabytes of the machine's own memory that it takes."""
        return GIGABYTES[self.precision] if self.streamed else 0.0

    def __str__(self) -> str:
        bits = {"bf16": 16, "fp8": 8, "4bit": 4}[self.precision]
        return (
            f"{bits}-bit weights{', streamed block by block' if self.streamed else ''}"
            f"{', pictures in tiles' if self.tiled else ''}"
        )


RUNGS = (
    Rung("bf16", False),
    Rung("bf16", True),
    Rung("fp8", False),
    Rung("fp8", True),
    Rung("fp8", True, tiled=True),
    Rung("4bit", False),
    Rung("4bit", True, tiled=True),
)
"""From the best to the smallest. Streaming costs time only, so it comes before fewer bits, which cost
quality."""


def fitting(card: float, memory: float, tokens: int, remembered: bool = False) -> list[Rung]:
    """The rungs that fit, the best first; the smallest of all if none does, for the figures are estimates.

    Args:
        card: gigabytes of the card that are free.
        memory: gigabytes of the machine's memory that are free.
        tokens: of the film.
        remembered: whether blocks' last results are kept.
    """
    found = [
        rung
        for rung in RUNGS
        if rung.card(tokens, remembered) + SPARE_GIGABYTES <= card
        and rung.memory() + SPARE_GIGABYTES <= memory
    ]
    return found or [RUNGS[-1]]
