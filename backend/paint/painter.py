"""What every painter is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..api.settings import Settings
from ..mesh.surface import Surface
from ..render.camera import Orbit
from ..render.rasterize import GBuffer
from .preview import Show
from .reference import Reference

Progress = Callable[[float], None]
"""Told the fraction done; raises :class:`backend.api.errors.Cancelled` when the user wants no more."""


Keep = Callable[[str, Callable[[], dict[str, np.ndarray]]], dict[str, np.ndarray]]
"""Gives what a part of the work, by its name, returns: from disk if an earlier run of the job finished it."""


@dataclass(frozen=True)
class Painting:
    """A painter's frames.

    Attributes:
        frames: per view (H, W, 3) uint8 sRGB, in the order of the views.
        preference: (T,) float32 0..1 per view: how much the painter trusts it, against the others.
        consistent: all frames show one coloured surface, so there is no drift to remove.
        notes: sentences for the user.
    """

    frames: list[np.ndarray]
    preference: np.ndarray
    consistent: bool = False
    notes: tuple[str, ...] = ()


class Painter(Protocol):
    """Makes frames for views of a bare surface. A painter owns its camera convention."""

    def orbits(
        self, surface: Surface, reference: Reference, settings: Settings, progress: Progress
    ) -> list[Orbit]:
        """The views that the painter wants to paint."""
        ...

    def paint(
        self,
        surface: Surface,
        buffers: Sequence[GBuffer],
        reference: Reference,
        settings: Settings,
        progress: Progress,
        keep: Keep,
        show: Show,
    ) -> Painting:
        """The frames of all views, in the order of the orbits' cameras; ``show`` is shown them as they
        come."""
        ...
