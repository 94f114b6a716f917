"""Panels: cards, signs, doors, books, boxes that stand like one.

Of two flat sides that lie close behind one another only one shows what is printed on it. Its outline does not
tell: it is convex, and so says nothing of what is where within it. The flat sides of a sword or of a cut-out
figure have the outline of what they show, which is the same from behind.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from ....mesh.surface import Surface, triangle_areas
from .projection import Projection, paint_over
from .symmetry import Plane


@dataclass(frozen=True)
class PanelConfig:
    """When a mesh is a panel; lengths in longest sides of the mesh."""

    # Directions of the largest flat regions that are tried.
    directions: int = 6
    # Cosine between normals that count as the same direction.
    same_direction: float = 0.97
    # Distance from a side's plane within which faces belong to it: sides have a relief.
    relief: float = 0.02
    # Fraction of the mesh's area that both sides have at least.
    min_area: float = 0.35
    # Largest distance between the two, as a fraction of their shorter extent.
    max_thickness: float = 0.5
    # Pixels along the longer extent of a side's outline.
    outline_size: int = 128
    # Half the width of what is too thin to be part of a side, as a fraction of that extent.
    thin: float = 0.05
    # Fractions of the outline that have to be left without that, and of its convex hull that it has to fill.
    min_kept: float = 0.8
    min_convexity: float = 0.85
    # Cosine between a side and the view from which on the view shows what paint it has.
    min_cosine: float = 0.15
    # CIE Lab units along a cell of the histogram of a side's colours; a paint reaches over three.
    cell: float = 6.0
    # Standard deviation of a blur, as a fraction of the side's extent, and the fraction of the variance of
    # its colours that outlasts it up to which the side is one pattern all over.
    pattern_size: float = 0.12
    max_pattern: float = 0.1


@dataclass(frozen=True)
class Panel:
    """Two sides of a mesh, one behind the other.

    Attributes:
        middle: the plane between them, normalised space; its normal points to the first.
        sides: (F,) int8: 1 for the faces of the first side, -1 for those of the second, 0 for all others.
    """

    middle: Plane
    sides: np.ndarray


@dataclass(frozen=True)
class PanelBack:
    """The side of a panel that a view does not see: it has the main paint of the side that it sees.

    Attributes:
        faces: (F,) bool, the faces of that side.
        middle: the plane between both sides.
        ground: the seen side's main paint, continued over all that lies on it.
        is_pattern: whether all of the seen side is that.
    """

    faces: np.ndarray
    middle: Plane
    ground: Projection
    is_pattern: bool

    def look_up(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) float32 sRGB: the colours of points (N, 3) of that side."""
        return self.ground.read_colors(self.middle.reflect_points(points))


def find_panel_back(
    panel: Panel, projection: Projection, config: PanelConfig = PanelConfig()
) -> PanelBack | None:
    """The side of a panel that an image does not show; None where it shows too little of the other."""
    buffer = projection.buffer
    middle = panel.middle.offset * panel.middle.normal
    towards = float(buffer.camera.directions_to(middle[None])[0] @ panel.middle.normal)
    front = 1 if towards > 0 else -1
    shown = (projection.edge_distance > 0) & buffer.mask
    shown[shown] = panel.sides[buffer.face[shown]] == front
    if abs(towards) < config.min_cosine or not shown.any():
        return None
    paint = _find_main_paint(projection.colors, shown, config)
    ground = projection.recolor(paint_over(projection.colors, ~paint))
    return PanelBack(panel.sides == -front, panel.middle, ground, bool(paint[shown].all()))


def _find_main_paint(colors: np.ndarray, shown: np.ndarray, config: PanelConfig) -> np.ndarray:
    """(H, W) bool: where of the pixels shown (H, W) bool an image (H, W, 3) has its most frequent colour; all
    of them, where it is one pattern all over."""
    lab = cv2.cvtColor(np.ascontiguousarray(colors, np.float32), cv2.COLOR_RGB2LAB)
    weight = shown.astype(np.float32)
    sigma = config.pattern_size * float(np.sqrt(weight.sum()))
    low_pass = cv2.GaussianBlur(lab * weight[..., None], (0, 0), sigma)
    low_pass /= np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)[..., None]
    if low_pass[shown].var(axis=0).sum() < config.max_pattern * lab[shown].var(axis=0).sum():
        return shown
    # The mode of a histogram whose cells overlap.
    cells = np.round(lab[shown] / config.cell).astype(int)
    cells -= cells.min(axis=0)
    histogram = np.zeros(cells.max(axis=0) + 1, np.float32)
    np.add.at(histogram, tuple(cells.T), 1)
    histogram = ndimage.uniform_filter(histogram, 3, mode="constant")
    mode = np.unravel_index(histogram.argmax(), histogram.shape)
    inside = shown.copy()
    inside[shown] = (np.abs(cells - mode) <= 1).all(axis=1)
    return inside


def find_panel(surface: Surface, outward: np.ndarray, config: PanelConfig = PanelConfig()) -> Panel | None:
    """The panel that a mesh is; None for others.

    Args:
        surface: in normalised space.
        outward: (F, 3) float32 unit normals of its faces.
        config: thresholds.
    """
    areas = triangle_areas(surface.vertices, surface.faces)
    triangles = surface.vertices[surface.faces]
    for direction in _find_directions(outward, areas, config):
        along, heights = outward @ direction, triangles.mean(axis=1) @ direction
        facing = along > config.same_direction, along < -config.same_direction
        sides = [_select_plane(side, heights, areas, config) for side in facing]
        if areas[sides[0] | sides[1]].sum() < config.min_area * areas.sum():
            continue
        outlines = [_draw_outline(triangles, side, direction, config) for side in sides]
        if not all(outline.is_convex(config) for outline in outlines):
            continue
        high, low = (np.average(heights[side], weights=areas[side]) for side in sides)
        if 0 <= high - low < config.max_thickness * min(outline.extent for outline in outlines):
            front, back = (outline.covered for outline in outlines)
            return Panel(
                Plane(direction, float(high + low) / 2), front.astype(np.int8) - back.astype(np.int8)
            )
    return None


def _find_directions(outward: np.ndarray, areas: np.ndarray, config: PanelConfig) -> np.ndarray:
    """(D, 3) float64 unit: the mean normals of the largest groups of faces with similar normals (F, 3)."""
    _, group = np.unique(np.round(4 * outward).astype(int), axis=0, return_inverse=True)
    group = group.ravel()
    largest = np.argsort(-np.bincount(group, areas))[: config.directions]
    means = np.stack([(areas[group == each, None] * outward[group == each]).sum(axis=0) for each in largest])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-30)


def _select_plane(
    chosen: np.ndarray, heights: np.ndarray, areas: np.ndarray, config: PanelConfig
) -> np.ndarray:
    """(F,) bool: of the chosen faces (F,) bool those in the plane that has most of their area."""
    if not chosen.any():
        return chosen
    step = np.floor(heights / config.relief).astype(int)
    step -= step.min()
    area = np.bincount(step[chosen], areas[chosen])
    # A plane may lie on the border between two steps.
    pair = np.convolve(area, [1, 1])[: len(area)]
    return chosen & np.isin(step, [pair.argmax() - 1, pair.argmax()])


@dataclass(frozen=True)
class _Outline:
    """A side from before, without what is thin, such as a pole behind a sign.

    Attributes:
        covered: (F,) bool, the faces of the mesh that are left of it.
        kept: fraction of the area that is.
        convexity: fraction of its convex hull that it fills.
        extent: the shorter one, in normalised space.
    """

    covered: np.ndarray
    kept: float
    convexity: float
    extent: float

    def is_convex(self, config: PanelConfig) -> bool:
        return self.kept > config.min_kept and self.convexity > config.min_convexity


def _draw_outline(
    triangles: np.ndarray, side: np.ndarray, direction: np.ndarray, config: PanelConfig
) -> _Outline:
    """The outline of a side (F,) bool of triangles (F, 3, 3), seen along a direction (3,)."""
    if not side.any():
        return _Outline(side, 0.0, 0.0, 0.0)
    # In pixels across the direction, with a margin.
    _, _, axes = np.linalg.svd(direction[None])
    flat = triangles @ axes[1:].T
    low = flat[side].min(axis=(0, 1))
    scale = config.outline_size / max(np.ptp(flat[side], axis=(0, 1)).max(), 1e-9)
    pixels = np.round((flat - low) * scale).astype(np.int32) + 1
    mask = np.zeros((config.outline_size + 3,) * 2, np.uint8)
    for triangle in pixels[side]:
        cv2.fillConvexPoly(mask, triangle, 1)
    width = 2 * round(config.thin * config.outline_size) + 1
    opened = cv2.morphologyEx(
        mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    )
    if not opened.any():
        return _Outline(side, 0.0, 0.0, 0.0)
    hull = cv2.convexHull(np.argwhere(opened)[:, ::-1].astype(np.int32))
    filled = cv2.fillConvexPoly(np.zeros_like(mask), hull, 1)
    column, row = pixels.mean(axis=1).astype(int).T.clip(0, len(mask) - 1)
    return _Outline(
        side & (filled[row, column] > 0),
        opened.sum() / mask.sum(),
        opened.sum() / filled.sum(),
        min(cv2.minAreaRect(hull)[1]) / scale,
    )
