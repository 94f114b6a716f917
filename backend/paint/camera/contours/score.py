"""How well a rendered view explains the reference: edges along its contour, colours on both sides of it
(PWP3D, Prisacariu and Reid 2012), and feature edges inside of it."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....mesh.surface import Surface
from ....render.rasterize import GBuffer
from ..feature_edges import mesh_feature_edges
from ..ranking import View
from .contour import follow_contour
from .features import COLOR_BINS, Observation


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
    # How far around the silhouette colours count as its surroundings, as a fraction of the root of its area.
    surroundings: float = 0.35


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


def judge_view(view: View, buffer: GBuffer, seen: Observation, surface: Surface) -> Fit:
    """How well a rendered view explains the reference."""
    pixels, channel, _, _ = follow_contour(buffer.mask)
    edge = float(seen.near_edges[channel, pixels[:, 1], pixels[:, 0]].mean())
    inside, around = color_histograms(buffer.mask, seen.bins)
    region = 1 - float(np.minimum(inside, around).sum())
    return Fit(view, edge, region, measure_inner_edges(buffer, seen, surface))


def measure_inner_edges(buffer: GBuffer, seen: Observation, surface: Surface) -> float:
    """See :attr:`Fit.inner`."""
    inside = cv2.erode(buffer.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    upright, level = (edges[inside] for edges in mesh_feature_edges(buffer, surface))
    length = float(upright.sum() + level.sum())
    if length < 1:
        return 0.0
    # Edges of the reference near each pixel, of about the two directions.
    count, near = len(seen.near_edges), seen.near_edges[:, inside]
    beside, above = (
        near[[middle - 1, middle, (middle + 1) % count]].max(axis=0) for middle in (0, count // 2)
    )
    response = float((upright * beside + level * above).sum()) / length
    usual = float(beside.mean() + above.mean()) / 2
    return (response - usual) * min(1.0, length / (SCORE.few_inner_edges * np.sqrt(inside.sum())))


def color_histograms(mask: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(COLOR_BINS ** 3,) float64 each: colours of the silhouette and of what surrounds it; each sums to 1."""
    reach = max(3, int(SCORE.surroundings * np.sqrt(mask.sum())))
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    around = ~mask & (distance < reach)
    return tuple(
        smooth_histogram(np.bincount(bins[part], minlength=COLOR_BINS**3).astype(np.float32))
        for part in (mask, around)
    )


def smooth_histogram(counts: np.ndarray) -> np.ndarray:
    """The histogram spread over neighbouring bins, as a distribution."""
    cube = counts.reshape(COLOR_BINS, COLOR_BINS, COLOR_BINS)
    for axis in range(3):
        padded = np.pad(cube, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        low, middle, high = (np.take(padded, np.arange(k, k + COLOR_BINS), axis) for k in range(3))
        cube = (low + 2 * middle + high) / 4
    return cube.ravel() / max(float(cube.sum()), 1e-9)
