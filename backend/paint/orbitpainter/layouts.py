"""How two orbits become films for a network that knows one: the published ways, and the paper's (specs:
orbitpainter a.8, b.6).

A film is a list of frames, a frame the views that lie in it side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .cameras import closed

PATCH = 16
"""Pixels along the side of a token: the autoencoder's 8, and the network's 2."""

Film = list[tuple[int, ...]]


@dataclass(frozen=True)
class Pass:
    """One run of the network.

    Attributes:
        films: encoded one by one, their latents joined in time.
        follows: the view, painted by an earlier pass, that the first frame shall be; None for none.
    """

    films: list[Film]
    follows: int | None = None


def horizontal(around: Sequence[int], over: Sequence[int]) -> list[Pass]:
    """The horizontal orbit alone."""
    return [Pass([_film(around)])]


def sequential(around: Sequence[int], over: Sequence[int]) -> list[Pass]:
    """The horizontal orbit, then the vertical one, whose first frame is the horizontal one's."""
    return [Pass([_film(around)]), Pass([_film(over)], follows=around[0])]


def beside(around: Sequence[int], over: Sequence[int]) -> list[Pass]:
    """Both orbits at once, side by side in each frame."""
    return [Pass([list(zip(closed(around), closed(over), strict=True))])]


def interleaved(around: Sequence[int], over: Sequence[int]) -> list[Pass]:
    """Both orbits in one film, one after the other, and the first view again."""
    return [Pass([[(view,) for view in (*around, *over, around[0])]])]


def joint(around: Sequence[int], over: Sequence[int]) -> list[Pass]:
    """Both orbits at once, two films whose latents follow one another, as in the paper."""
    return [Pass([_film(around), _film(over)])]


LAYOUTS = {
    "horizontal": horizontal,
    "sequential": sequential,
    "beside": beside,
    "interleaved": interleaved,
    "joint": joint,
}


def passes(layout: str, frames: int) -> list[Pass]:
    """The runs of the network that a layout needs, for films of so many frames; views are numbered, the
    horizontal orbit's first."""
    return LAYOUTS[layout](range(frames - 1), range(frames - 1, 2 * (frames - 1)))


def _film(views: Sequence[int]) -> Film:
    return [(view,) for view in closed(views)]


def latent_frames(frames: int) -> int:
    """How many frames the latents of a film have: the first alone, then four to one."""
    return (frames + 3) // 4
