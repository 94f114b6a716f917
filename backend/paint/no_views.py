"""A painter without views: the refinement's model makes the texture from the reference alone."""

from collections.abc import Sequence

import numpy as np

from ..api.settings import Settings
from ..mesh.surface import Surface
from ..render.camera import Orbit
from ..render.rasterize import GBuffer
from .painter import LoadOrRun, Painting, ProgressCallback
from .preview import PreviewCallback
from .reference import Reference


class NoViews:
    """Paints no views; see :class:`backend.paint.painter.Painter`."""

    share = 0.0

    def orbits(
        self, surface: Surface, reference: Reference, settings: Settings, progress: ProgressCallback
    ) -> list[Orbit]:
        return []

    def paint(
        self,
        surface: Surface,
        buffers: Sequence[GBuffer],
        reference: Reference,
        settings: Settings,
        progress: ProgressCallback,
        load_or_run: LoadOrRun,
        show_preview: PreviewCallback,
    ) -> Painting:
        return Painting([], np.zeros(0, np.float32), consistent=True)
