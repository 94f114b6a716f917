"""How two orbits become clips for a network that knows only one: the published layouts, and the paper's
(docs/models/orbitpainter.md#clip-layouts).

A clip is a list of frames, a frame the views that lie in it side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .cameras import close_orbit

TOKEN_SIZE = 16
"""Width and height of a token in pixels: 8 of the autoencoder times 2 of the network's patches."""

FRAMES_PER_LATENT = 4
"""Frames that the autoencoder joins in one latent frame; the first frame of a clip stands alone."""

Clip = list[tuple[int, ...]]


@dataclass(frozen=True)
class Pass:
    """One run of the network.

    Attributes:
        clips: encoded one by one, their latents joined in time.
        start_view: the view, painted by an earlier pass, that the first frame is fixed to; None for none.
    """

    clips: list[Clip]
    start_view: int | None = None


def horizontal_layout(horizontal: Sequence[int], vertical: Sequence[int]) -> list[Pass]:
    """The horizontal orbit alone."""
    return [Pass([_close_clip(horizontal)])]


def sequential_layout(horizontal: Sequence[int], vertical: Sequence[int]) -> list[Pass]:
    """The horizontal orbit, then the vertical one, whose first frame is the horizontal one's."""
    return [Pass([_close_clip(horizontal)]), Pass([_close_clip(vertical)], start_view=horizontal[0])]


def beside_layout(horizontal: Sequence[int], vertical: Sequence[int]) -> list[Pass]:
    """Both orbits at once, side by side in each frame."""
    return [Pass([list(zip(close_orbit(horizontal), close_orbit(vertical), strict=True))])]


def interleaved_layout(horizontal: Sequence[int], vertical: Sequence[int]) -> list[Pass]:
    """Both orbits in one clip, one after the other, and the first view again."""
    return [Pass([[(view,) for view in (*horizontal, *vertical, horizontal[0])]])]


def joint_layout(horizontal: Sequence[int], vertical: Sequence[int]) -> list[Pass]:
    """Both orbits at once, two clips whose latents follow one another, as in the paper."""
    return [Pass([_close_clip(horizontal), _close_clip(vertical)])]


LAYOUTS = {
    "horizontal": horizontal_layout,
    "sequential": sequential_layout,
    "beside": beside_layout,
    "interleaved": interleaved_layout,
    "joint": joint_layout,
}


def plan_passes(layout: str, frames: int) -> list[Pass]:
    """The runs of the network that a layout needs, for orbits of ``frames`` frames; views are numbered, the
    horizontal orbit's first."""
    return LAYOUTS[layout](range(frames - 1), range(frames - 1, 2 * (frames - 1)))


def _close_clip(views: Sequence[int]) -> Clip:
    return [(view,) for view in close_orbit(views)]


def count_latent_frames(frames: int) -> int:
    """How many frames the latents of a clip have: the first alone, then four to one."""
    return (frames + FRAMES_PER_LATENT - 1) // FRAMES_PER_LATENT
