"""Every template at every scale and place of the reference: which directions explain its edges and
regions."""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from ....parallel import iterate_parallel
from ....progress import ProgressCallback
from .features import Features
from .templates import Templates

SCALE_STEP = 1.12
"""Between neighbouring scales."""

SCALES = (0.18, 1.05)
"""Root of the area of a template's box, as parts of the image's longer side: least and largest."""

OUTSIDE = 0.12
"""Part of a template's box that may lie outside of the image."""

COARSE_STEP = 0.06
"""Part of a template's size by which places are apart: the edges are dilated by about as much."""

REGION_ROWS = 16
"""Rows of a template that are compared with a foreground map, fewer than twice as many."""

REGION_WEIGHT = 1.0
"""Of the best overlap with a foreground map, beside the mean edge response along the contour."""


@dataclass(frozen=True)
class Placement:
    """A template in the reference.

    Attributes:
        template: its number.
        score: higher is better.
        size: pixels of the root of its box's area, on the search image.
        x, y: the box's middle, in pixels of the search image.
    """

    template: int
    score: float
    size: float
    x: float
    y: float


def place_templates(
    templates: Templates,
    features: Features,
    progress: ProgressCallback,
    blocked: np.ndarray | None = None,
    sizes: tuple[float, float] = SCALES,
) -> list[Placement]:
    """The best placement of each template.

    Args:
        templates: silhouettes of the mesh.
        features: those of the reference.
        progress: called with the fraction done.
        blocked: (h, w) bool of the search image, where the middle of a template's box must not lie.
        sizes: least and largest root of the area of a template's box, as fractions of the longer side.
    """
    height, width = features.foreground.shape[1:]
    blocked = np.zeros((height, width), bool) if blocked is None else blocked
    longest = max(height, width)
    count = int(np.log(sizes[1] / sizes[0]) / np.log(SCALE_STEP)) + 1
    scales = longest * sizes[0] * SCALE_STEP ** np.arange(count)
    # Templates are rounded to whole pixels on both sides.
    maps = pad_maps(features, int(OUTSIDE * scales[-1]) + 4)

    def place_one(number: int) -> Placement:
        best = Placement(number, -1.0, 0.0, 0.0, 0.0)
        spans = [spans_of(templates, number, size) for size in scales]
        # No intersection over union is larger than the sizes of both allow.
        areas = np.array([(span[:, 2] - span[:, 1]).sum() for span in spans], np.float32)[:, None]
        overlaps = np.minimum(areas, maps.totals) / np.maximum(np.maximum(areas, maps.totals), 1)
        limits = np.float32(REGION_WEIGHT) * overlaps
        # The likeliest scale first: what it finds rules out most places at the others.
        for scale in np.argsort(-limits.max(axis=1)):
            size = scales[scale]
            score, x, y = _place(
                templates.contour[number] * np.float32(size),
                templates.channel[number],
                spans[scale],
                maps.edges,
                maps.sums,
                maps.totals,
                limits[scale],
                maps.margin,
                blocked,
                np.float32(REGION_WEIGHT),
                np.float32(OUTSIDE * size),
                max(1, int(size * COARSE_STEP)),
                best.score,
            )
            if score > best.score:
                best = Placement(number, float(score), float(size), float(x), float(y))
        return best

    placements = []
    for placement in iterate_parallel(place_one, range(len(templates))):
        placements.append(placement)
        progress(len(placements) / len(templates))
    return placements


@dataclass(frozen=True)
class PaddedMaps:
    """Features with a margin on all sides, so that no look-up has to ask whether it is inside.

    Attributes:
        margin: pixels on each side.
        edges: (O, h, w) float32, 0 in the margin.
        sums: (M, h, w + 1) float32: sums of the foreground maps' rows, up to each column.
        totals: (M,) float32: sums of the maps.
    """

    margin: int
    edges: np.ndarray
    sums: np.ndarray
    totals: np.ndarray


def pad_maps(features: Features, margin: int) -> PaddedMaps:
    """The features of a reference with a margin."""
    sides = (0, 0), (margin, margin), (margin, margin)
    foreground = np.pad(features.foreground, sides)
    sums = np.zeros((*foreground.shape[:2], foreground.shape[2] + 1), np.float32)
    np.cumsum(foreground, axis=2, out=sums[:, :, 1:])
    totals = features.foreground.sum(axis=(1, 2)).astype(np.float32)
    return PaddedMaps(margin, np.pad(features.edges, sides), sums, totals)


def spans_of(templates: Templates, number: int, size: float) -> np.ndarray:
    """(R, 3) int32: row, first and end column of the template's runs at a scale, from the box's middle."""
    left, top, right, bottom = templates.box[number]
    scale = size / np.sqrt((right - left) * (bottom - top))
    cut = templates.mask[number][int(top) : int(bottom), int(left) : int(right)].astype(np.float32)
    shape = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    mask = cv2.resize(cut, shape, interpolation=cv2.INTER_AREA) > 0.5
    padded = np.zeros((shape[1], shape[0] + 2), np.int8)
    padded[:, 1:-1] = mask
    row, column = np.nonzero(np.diff(padded, axis=1))
    spans = np.column_stack([row[::2], column[::2], column[1::2]])
    return (spans - (shape[1] // 2, shape[0] // 2, shape[0] // 2)).astype(np.int32)


@njit(cache=True, nogil=True)
def _place(
    contour, channel, spans, edges, sums, totals, limits, margin, blocked, region_weight, outside, step, best
):
    """The best score of one template at one scale, and the place (x, y) of its box's middle; what is no
    better than ``best`` is not looked at. No overlap with a map scores more than its one of ``limits``."""
    height, width = blocked.shape
    low_x, high_x, low_y, high_y = (
        contour[:, 0].min(),
        contour[:, 0].max(),
        contour[:, 1].min(),
        contour[:, 1].max(),
    )
    area = np.float32(0)
    for s in range(spans.shape[0]):
        area += spans[s, 2] - spans[s, 1]
    best_x, best_y = 0, 0
    if area < 12:
        return best, best_x, best_y
    limit = limits.max()
    # Every row of a small template counts, every few of a large one, with all of its runs.
    offset = spans[:, 0] - spans[0, 0]
    chosen = spans[offset % max(1, (offset[-1] + 1) // REGION_ROWS) == 0]
    share = np.float32((chosen[:, 2] - chosen[:, 1]).sum()) / area
    # Where each look-up lies in a flat array, from that of the middle: the innermost loops only add.
    edge_row, sum_row = edges.shape[2], sums.shape[2]
    flat_edges, flat_sums = edges.ravel(), sums.ravel()
    points = np.empty(contour.shape[0], np.int64)
    for p in range(contour.shape[0]):
        column, row = int(np.floor(contour[p, 0])), int(np.floor(contour[p, 1]))
        points[p] = (channel[p] * edges.shape[1] + row) * edge_row + column
    firsts, ends = chosen[:, 0] * sum_row + chosen[:, 1], chosen[:, 0] * sum_row + chosen[:, 2]
    for y in range(int(-low_y - outside), int(height - high_y + outside) + 1, step):
        for x in range(int(-low_x - outside), int(width - high_x + outside) + 1, step):
            if 0 <= y < height and 0 <= x < width and blocked[y, x]:
                continue
            # Edges: the mean response along the contour.
            middle = (y + margin) * edge_row + x + margin
            response = np.float32(0)
            for p in range(points.shape[0]):
                response += flat_edges[middle + points[p]]
            response /= points.shape[0]
            if response + limit <= best:
                continue
            # Region: intersection over union with the best of the maps, by sums of rows.
            region = np.float32(0)
            for m in range(totals.shape[0]):
                if response + limits[m] <= best:
                    continue
                middle = (m * sums.shape[1] + y + margin) * sum_row + x + margin
                inside = np.float32(0)
                for s in range(firsts.shape[0]):
                    inside += flat_sums[middle + ends[s]] - flat_sums[middle + firsts[s]]
                inside = min(inside / share, area)
                region = max(region, inside / (area + totals[m] - inside))
            score = response + region_weight * region
            if score > best:
                best, best_x, best_y = score, x, y
    return best, best_x, best_y
