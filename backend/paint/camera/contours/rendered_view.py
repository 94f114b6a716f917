"""A view of the mesh, rendered, and what the search reads of it."""

from dataclasses import dataclass

import numpy as np

from ....mesh.surface import Surface
from ....render.rasterize import GBuffer, rasterize
from ..feature_edges import mesh_feature_edges
from ..view import View
from .contour import Contour, follow_contour
from .features import Observation
from .histograms import color_histograms


@dataclass(frozen=True)
class RenderedView:
    """A view at the size of an observation.

    Attributes:
        view: the camera.
        buffer: what it sees of the mesh.
        contour: of the silhouette.
        edges: two (H, W) float32 0..1, see :func:`..feature_edges.mesh_feature_edges`.
        inside, around: (COLOR_BINS ** 3,) histograms of the observation's colours, see
            :func:`.histograms.color_histograms`.
    """

    view: View
    buffer: GBuffer
    contour: Contour
    edges: list[np.ndarray]
    inside: np.ndarray
    around: np.ndarray


def render_view(surface: Surface, view: View, seen: Observation) -> RenderedView | None:
    """Renders a view; None if the mesh has no contour in it, because it fills the image or lies outside."""
    buffer = rasterize(surface.vertices, surface.faces, view.camera(*seen.shape))
    if not buffer.mask.any() or buffer.mask.all():
        return None
    edges = mesh_feature_edges(buffer, surface)
    contour = follow_contour(buffer.mask)
    return RenderedView(view, buffer, contour, edges, *color_histograms(buffer.mask, seen.bins))
