"""How well a rendered view explains the reference: edges along its contour, colours on both sides of it
(PWP3D, Prisacariu and Reid 2012), and feature edges inside of it."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....mesh.surface import Surface
from ..view import View
from .features import Observation
from .histograms import histogram_distance
from .rendered_view import RenderedView, render_view


@dataclass(frozen=True)
class ScoreConfig:
    """How the parts of a score are measured and weighed. The weights come from a logistic regression on views
    of rendered images, right ones against wrong ones."""

    # Weight of the edge response along the contour.
    edge_weight: float = 1.8
    # Weight of the difference between the colours inside and around.
    region_weight: float = 1.1
    # Weight of the feature edges inside of the contour.
    inner_weight: float = 1.2
    # Length of the feature edges, in roots of the silhouette's area, below which they count less.
    few_inner_edges: float = 4.0


SCORE = ScoreConfig()


@dataclass(frozen=True)
class Fit:
    """A view and what speaks for it.

    Attributes:
        view: the camera.
        edge: mean edge response along the contour, 0..1.
        region: how far the colours inside and around the silhouette differ, 0..1.
        inner: by how much the edge response along the mesh's feature edges inside of the contour exceeds the
            usual one there, -1..1; nearer to 0 where they are few.
        score: what speaks for the view altogether, about 0 to 3.
    """

    view: View
    edge: float = 0.0
    region: float = 0.0
    inner: float = 0.0

    @property
    def score(self) -> float:
        return (
            SCORE.edge_weight * self.edge
            + SCORE.region_weight * self.region
            + SCORE.inner_weight * self.inner
        )


def judge_view(rendered: RenderedView, seen: Observation) -> Fit:
    """How well a rendered view explains the reference."""
    edge = float(rendered.contour.read(seen.near_edges).mean())
    region = histogram_distance(rendered.inside, rendered.around)
    return Fit(rendered.view, edge, region, measure_inner_edges(rendered, seen))


def score_view(surface: Surface, view: View, seen: Observation) -> float:
    """The score of a view; 0 if it has no contour."""
    rendered = render_view(surface, view, seen)
    return judge_view(rendered, seen).score if rendered else 0.0


def measure_inner_edges(rendered: RenderedView, seen: Observation) -> float:
    """See :attr:`Fit.inner`."""
    inside = cv2.erode(rendered.buffer.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    own = [edges[inside] for edges in rendered.edges]
    length = float(sum(edges.sum() for edges in own))
    if length < 1:
        return 0.0
    # Edges of the reference near each pixel, of about the two directions.
    near = [edges[inside] for edges in seen.axis_edges]
    response = sum(float(edges @ there) for edges, there in zip(own, near, strict=True)) / length
    usual = float(np.mean([edges.mean() for edges in near]))
    return (response - usual) * min(1.0, length / (SCORE.few_inner_edges * np.sqrt(inside.sum())))
