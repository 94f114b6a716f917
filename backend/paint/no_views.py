"""Paints nothing: the refinement's model makes the texture from the reference alone."""

from collections.abc import Sequence

import numpy as np

from ..api.settings import Settings
from ..mesh.surface import Surface
from ..render.camera import Orbit
from ..render.rasterize import GBuffer
from .painter import Keep, Painting, Progress
from .preview import Show
from .reference import Reference


class Nobody:
    """No views; see :class:`backend.paint.painter.Painter`."""

    share = 0.0

    def orbits(
        self, surface: Surface, reference: Reference, settings: Settings, progress: Progress
    ) -> list[Orbit]:
        return []

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
        return Painting([], np.zeros(0, np.float32), consistent=True)
