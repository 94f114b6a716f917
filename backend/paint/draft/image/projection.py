"""The reference projected onto the surface: colour and trust of any point that it shows."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from ....render.rasterize import GBuffer
from ....render.sample import sample_bilinear
from ....render.visibility import edge_distance, observe
from ...foreground import extend_colors
from ...reference import Reference
from .glyphs import detect_glyphs
from .lettering import detect_lettering


@dataclass(frozen=True)
class TrustThresholds:
    """Where the image is not trusted, or not fully."""

    # Cosine between normal and view below which pixels would be stretched too much to be used.
    min_cosine: float
    # Cosine between normal and view above which pixels are fully trusted.
    full_cosine: float
    # Pixels from an edge that may show something else, even if the outlines match.
    edge_margin: float
    # Whether the distance to an edge is read between pixels, so that the border is a smooth line.
    smooth: bool = False


STRICT_TRUST = TrustThresholds(min_cosine=0.1, full_cosine=0.25, edge_margin=1.0)
"""For pixels from which hidden colours are synthesised."""

LENIENT_TRUST = TrustThresholds(min_cosine=0.06, full_cosine=0.15, edge_margin=0.5, smooth=True)
"""For pixels that are only shown: up to the very outline the image is better than a guess."""


BORDER_BLUR = 1.5
"""Standard deviation in pixels of the blur of the distance to an edge, whose steps are those of pixels: along
an outline, where a pixel covers many texels, the border of what is shown would be jagged."""


SMOOTH_START = 0.3
"""Blurred distance to an edge from which on pixels count; the edge itself has about as much."""


WIDE = 0.03
"""Half the width, in roots of the mesh's area in the image, from which on what only one of mesh and object
covers is no mismatch of their outlines."""


EDGE_RIM = 2.0
"""Pixels next to an edge that say nothing of glyphs."""


class Projection:
    """The reference and what its view sees of the surface.

    Args:
        reference: the image, whose alpha holds only the object.
        buffer: the surface as the reference's camera sees it, at the image's resolution.
        winding: (F,) int8 of the mesh's faces, see :func:`backend.render.visibility.find_winding`.
        reliable: (H, W) bool, which pixels show paint that may be copied; None for all.

    Attributes:
        buffer: the view.
        winding: how the mesh winds its triangles, (F,) int8.
        alpha: (H, W) float32, the object.
        edge_distance: (H, W) float32 pixels to the nearest outline of mesh or object, or jump in the mesh's
            depth.
        colors: (H, W, 3) float32 sRGB 0..1, continued beyond the object.
        lettering: (H, W) bool, lines of letters.
        reliable: (H, W) bool, pixels that show paint that may be copied.
        excluded: (H, W) bool, pixels that are not copied, if there are others.
        inset: pixels within the outline from which colours are continued.
        outline_mismatch: pixels by which the outlines of object and mesh differ: the worse they match, the
            further from an edge the image may still show what is behind or in front of the surface.
    """

    def __init__(
        self, reference: Reference, buffer: GBuffer, winding: np.ndarray, reliable: np.ndarray | None = None
    ):
        self.buffer, self.winding = buffer, winding
        self.alpha = reference.alpha
        self.reliable = np.ones(self.alpha.shape, bool) if reliable is None else reliable
        self.excluded = np.zeros(self.alpha.shape, bool)
        shown = self.alpha > 0.5
        self.edge_distance = np.minimum(edge_distance(buffer), distance_to_outside(shown))
        # The outermost pixel often has something of the background, even in an image with alpha.
        self.inset = 1 + (max(shown.shape) // 400 if reference.segmented else 0)
        self.colors = extend_colors(reference, self.inset)
        self.lettering = detect_lettering(self.colors, self.edge_distance > 0)
        self.outline_mismatch = 2.0 * mean_outline_distance(shown, buffer.mask)
        self._smooth_distance = cv2.GaussianBlur(self.edge_distance, (0, 0), BORDER_BLUR)[..., None]

    def recolor(self, color: np.ndarray) -> "Projection":
        """The same projection of another image (H, W, 3) float32 sRGB of the same object."""
        other = copy.copy(self)
        other.colors = extend_colors(Reference(color, self.alpha), self.inset)
        return other

    def erase_glyphs(self) -> "Projection":
        """The same projection without the glyphs: the ground around them takes their place. Itself if there
        are none."""
        # At the edge of a part lies a rim of another one's light.
        glyphs = detect_glyphs(self.colors, self.edge_distance > EDGE_RIM)
        if not glyphs.any():
            return self
        other = copy.copy(self)
        other.colors = paint_over(self.colors, glyphs)
        other.lettering = detect_lettering(other.colors, self.edge_distance > 0)
        return other

    @property
    def projections(self) -> tuple["Projection", ...]:
        """The projections of all pictures: this one."""
        return (self,)

    @property
    def lead(self) -> "Projection":
        """The projection of the first picture: this one."""
        return self

    def without(self, pixels: Sequence[np.ndarray]) -> "Projection":
        """The same projection, of which the pixels (H, W) bool, given for each of its pictures, are not
        copied."""
        other = copy.copy(self)
        [other.excluded] = pixels
        return other

    def locate(
        self, points: np.ndarray, normals: np.ndarray, face: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which picture shows each of N points, (N,) int64, and at which of its pixels, (N, 2) float64."""
        return np.zeros(len(points), np.int64), self.buffer.camera.project(points.astype(np.float64))[0]

    def look_up(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        face: np.ndarray,
        thresholds: TrustThresholds = STRICT_TRUST,
    ) -> tuple[np.ndarray, np.ndarray]:
        """``(colors, trust)`` of surface points (N, 3): (N, 3) float32 sRGB 0..1, and (N,) float32 0..1, 0 if
        the image does not show them.

        Args:
            points, normals: (N, 3) float32; shading normals, if the border of what is shown shall be smooth.
            face: (N,) int, the faces whose winding the normals have.
            thresholds: of trust.
        """
        cosine, edge = observe(points, normals, self.buffer, self.edge_distance, self.winding[face])
        trust = smoothstep(cosine, thresholds.min_cosine, thresholds.full_cosine)
        colors = np.zeros((len(points), 3), np.float32)
        shown = trust > 0
        full_edge = 0.5 + thresholds.edge_margin + self.outline_mismatch
        if thresholds.smooth:
            pixels, _ = self.buffer.camera.project(points[shown].astype(np.float64))
            distance = sample_bilinear(self._smooth_distance, pixels)[:, 0]
            trust[shown] *= smoothstep(distance, SMOOTH_START, full_edge)
        else:
            trust[shown] *= smoothstep(edge[shown], 0.5, full_edge)
        colors[shown] = self.read_colors(points[shown])
        return colors, trust.astype(np.float32)

    def read_colors(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) float32 sRGB 0..1: the image where points (N, 3) appear in it, seen or hidden."""
        return sample_bilinear(self.colors, self.buffer.camera.project(points.astype(np.float64))[0])

    def composite_over(self, frame: np.ndarray, opacity: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8 of the reference's own view, with the image of this ``opacity`` (H, W)
        0..1 over it wherever both image and mesh are; also at depth edges, which the bake leaves out by
        itself."""
        weight = (opacity * self.alpha * self.buffer.mask)[..., None]
        return np.round(frame * (1 - weight) + 255 * np.clip(self.colors, 0, 1) * weight).astype(np.uint8)

    def is_reliable(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool: whether points (N, 3) appear where the image shows paint that may be copied."""
        return self._read_mask(self.reliable, points)

    def shows_lettering(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool: whether points (N, 3) appear where the image has letters."""
        return self._read_mask(self.lettering, points)

    def _read_mask(self, mask: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(N,) bool: a mask (H, W) where points (N, 3) appear in it."""
        pixels, _ = self.buffer.camera.project(points.astype(np.float64))
        column, row = np.clip(pixels, 0, np.array(mask.shape[::-1]) - 1).astype(int).T
        return mask[row, column]


def paint_over(colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) float32 whose pixels of a mask (H, W) bool have the colours around it."""
    distance, nearest = ndimage.distance_transform_edt(mask, return_indices=True)
    filled = colors[nearest[0], nearest[1]]
    # Without the streaks that single pixels of the rim make: the further inside, the smoother.
    smooth = cv2.GaussianBlur(filled, (0, 0), max(0.5 * float(distance.max()), 0.5))
    return np.where(mask[..., None], smooth, filled)


def mean_outline_distance(shown: np.ndarray, mask: np.ndarray) -> float:
    """Mean pixels between the outlines of the object and of the mesh (H, W) bool each, but for what is wide:
    a part that something in front covers, or that the border of the image cuts off."""
    # Opened with a disc, by distances: a large one is slow otherwise.
    apart, reach = shown ^ mask, WIDE * np.sqrt(max(int(mask.sum()), 1))
    middle = distance_to_outside(apart) > reach
    wide = cv2.distanceTransform((~middle).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) <= reach
    length = max(int((distance_to_outside(shown) == 1).sum()), 1)
    return float((apart & ~wide).sum()) / length


def distance_to_outside(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32 pixels from each pixel of a mask to the nearest one outside of it or of the image."""
    return cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]


def smoothstep(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
