"""The interface of all painters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..api.settings import Settings
from ..mesh.surface import Surface
from ..mesh.voxels import Voxels
from ..progress import ProgressCallback
from ..render.camera import Orbit
from ..render.rasterize import GBuffer
from .camera.registration import Registration
from .preview import PreviewCallback
from .reference import Reference

if TYPE_CHECKING:
    from .present import PresentSurface

LoadOrRun = Callable[[str, Callable[[], dict[str, np.ndarray]]], dict[str, np.ndarray]]
"""``load_or_run(name, work)`` returns the arrays that ``work()`` returns; from disk if an earlier run of the
job has already finished the work of this name."""


@dataclass(frozen=True)
class Painting:
    """A painter's frames.

    Attributes:
        frames: per view (H, W, 3) uint8 sRGB, in the order of the views.
        preference: (T,) float32 0..1 per view: how much the painter trusts it, compared with the others.
        consistent: all frames show one coloured surface, so there is no drift to remove.
        notes: sentences for the user.
        color_source: (S, S, 3) uint8 on the surface's UVs, how much of each colour is from the picture,
            mirrored, and invented, see :mod:`.color_source`; None if the painter cannot tell.
        border_light: (S, S, 3) uint8 on the surface's UVs, the light in which the present paint is laid on,
            see :func:`.present.encode_light`; None for none.
    """

    frames: list[np.ndarray]
    preference: np.ndarray
    consistent: bool = False
    notes: tuple[str, ...] = ()
    color_source: np.ndarray | None = None
    border_light: np.ndarray | None = None


@dataclass(frozen=True)
class Repaint:
    """An earlier texture on the surface's UVs, of which a region is painted anew.

    Attributes:
        base_color: (S, S, 3) uint8 sRGB, row 0 at the top.
        region: (S, S) float32 0..1, how much of the new texture each texel takes.
    """

    base_color: np.ndarray
    region: np.ndarray


@dataclass(frozen=True)
class PictureSet:
    """Several pictures of the object, brought to one tone and into register, see :mod:`backend.pictures`.

    Attributes:
        references: the pictures, unlit unless the settings keep their light; the lead's first.
        buffers: the surface as each one's camera sees it, at its resolution.
        reliable: per picture (H, W) bool, the pixels that show paint that may be copied.
        voxels: of the surface.
        share: (N, P) float32, how much of the colour of each voxel is from each picture; all 0 where none
            shows it.
    """

    references: tuple[Reference, ...]
    buffers: tuple[GBuffer, ...]
    reliable: tuple[np.ndarray, ...]
    voxels: Voxels
    share: np.ndarray


class Painter(Protocol):
    """Makes frames for views of a bare surface. A painter owns its camera convention."""

    def orbits(self, surface: Surface, registration: Registration) -> list[Orbit]:
        """The cameras of the views to paint."""
        ...

    def paint(
        self,
        surface: Surface,
        buffers: Sequence[GBuffer],
        reference: Reference,
        settings: Settings,
        progress: ProgressCallback,
        load_or_run: LoadOrRun,
        show_preview: PreviewCallback,
        repaint: Repaint | None = None,
        pictures: PictureSet | None = None,
        present: "PresentSurface | None" = None,
    ) -> Painting:
        """The frames of all views, in the order of the orbits' cameras. The reference's alpha holds only the
        object; ``show_preview`` is called with small images of the frames while they are painted. What is
        repainted should look unlike before; a painter whose seed does that need not look at ``repaint``.
        ``pictures`` are given if there are several; a painter that follows only one need not look at
        them. ``present`` is the paint that stays where no picture shows the surface; a painter that paints
        all of it need not look at that."""
        ...
