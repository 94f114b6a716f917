"""The reference as something that points of the surface can be looked up in."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....render.rasterize import GBuffer
from ....render.sample import bilinear
from ....render.visibility import edge_distance, observe
from ...foreground import confirmed_by, cut_out, extend
from ...reference import Reference
from .lettering import lettering


@dataclass(frozen=True)
class Caution:
    """Where the picture is not believed, or not wholly.

    Attributes:
        glancing: cosines between surface and view below which its pixels would be drawn out, and above which
            it is believed.
        margin: pixels from an edge that it may show wrongly, however well the outlines agree.
    """

    glancing: tuple[float, float]
    margin: float


CAREFUL, BOLD = Caution((0.1, 0.25), 1.0), Caution((0.06, 0.15), 0.5)
"""Of what paint goes on from, and of what is only shown: up to the very rim the picture is better than a
guess."""


class Picture:
    """The reference and what its view sees of the surface.

    Attributes:
        buffer: the view.
        side: how the mesh winds its triangles, see :func:`backend.render.visibility.facing`.
        alpha: (H, W) float32, the object.
        edges: (H, W) float32 pixels to the nearest outline of mesh or object, or jump in the mesh's depth.
        colors: (H, W, 3) float32 sRGB 0..1, continued beyond the object.
        print: (H, W) bool, lines of letters.
        apart: pixels by which its outline and the mesh's disagree: so much further from an edge the picture
            may show something else.
    """

    def __init__(self, reference: Reference, buffer: GBuffer, side: int):
        self.buffer, self.side = buffer, side
        segmented = reference.opaque
        reference = cut_out(reference)
        if segmented:
            reference = reference.with_alpha(confirmed_by(buffer.mask, reference.alpha))
        self.alpha = reference.alpha
        shown = self.alpha > 0.5
        self.edges = np.minimum(edge_distance(buffer), distance_inside(shown))
        self.colors = extend(reference, inset=1 + max(shown.shape) // 400 if segmented else 0)
        self.print = lettering(self.colors, self.edges > 0)
        # The worse the outlines agree, the further from an edge a pixel may still show what lies behind or in
        # front of its surface.
        outline = max(int((distance_inside(shown) == 1).sum()), 1)
        self.apart = 2.0 * float((shown ^ buffer.mask).sum()) / outline

    def look_up(
        self, points: np.ndarray, normals: np.ndarray, caution: Caution = CAREFUL
    ) -> tuple[np.ndarray, np.ndarray]:
        """``(colors, trust)`` of surface points (N, 3): (N, 3) float32 sRGB 0..1, and (N,) float32, 0 where
        it does not show them."""
        cosine, edge = observe(points, normals, self.buffer, self.edges, self.side)
        trust = smoothstep(cosine, *caution.glancing) * smoothstep(
            edge, 0.5, 0.5 + caution.margin + self.apart
        )
        colors = np.zeros((len(points), 3), np.float32)
        shown = trust > 0
        pixels, _ = self.buffer.camera.project(points[shown].astype(np.float64))
        colors[shown] = bilinear(self.colors, pixels)
        return colors, trust.astype(np.float32)

    def over(self, frame: np.ndarray) -> np.ndarray:
        """The reference's own frame (H, W, 3) uint8: where the picture and the mesh are, the picture, at
        depth edges too: the bake leaves those out by itself."""
        share = (self.alpha * self.buffer.mask)[..., None]
        return np.round(frame * (1 - share) + 255 * np.clip(self.colors, 0, 1) * share).astype(np.uint8)

    def shows_print(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool, whether points (N, 3) appear where the picture shows letters."""
        pixels, _ = self.buffer.camera.project(points.astype(np.float64))
        column, row = np.clip(pixels, 0, np.array(self.print.shape[::-1]) - 1).astype(int).T
        return self.print[row, column]


def distance_inside(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32 pixels from each pixel of a mask to the nearest one outside it or the image."""
    return cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]


def smoothstep(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
