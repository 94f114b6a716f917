"""What a user draws on a reference to correct its mask, as numbers. No bpy."""

from dataclasses import dataclass

import numpy as np

from ...backend.api.picture import GROUND_STROKE, OBJECT_STROKE

LABELS = {"OBJECT": OBJECT_STROKE, "GROUND": GROUND_STROKE}
"""The value in a job's strokes for each kind of stroke."""


@dataclass(frozen=True)
class Stroke:
    """One press and release of the mouse.

    Attributes:
        kind: "OBJECT" or "GROUND" for a stroke of that brush, "BOX" for a box around the object.
        points: places in the image, 0..1 from its lower left corner; two opposite corners for a box.
        radius: of the brush, as a fraction of the image's longer side.
    """

    kind: str
    points: tuple[tuple[float, float], ...]
    radius: float = 0.0


def rasterize_strokes(strokes: tuple[Stroke, ...], size: tuple[int, int], longest: int) -> np.ndarray:
    """(H, W) uint8, row 0 at the top: the strokes as a job takes them. Later strokes cover earlier ones;
    outside of a box everything is ground.

    Args:
        size: width and height of the image.
        longest: pixels along the longer side of the array.
    """
    scale = longest / max(size)
    width, height = (max(1, round(pixels * scale)) for pixels in size)
    labels = np.zeros((height, width), np.uint8)
    for stroke in strokes:
        # Columns and rows, y down.
        points = (np.array(stroke.points, np.float64) * (1, -1) + (0, 1)) * (width, height)
        if stroke.kind == "BOX":
            _fill_around_box(labels, points)
        else:
            _draw_line(labels, points, max(stroke.radius * longest, 0.75), LABELS[stroke.kind])
    return labels


def _fill_around_box(labels: np.ndarray, corners: np.ndarray) -> None:
    (left, top), (right, bottom) = np.round(np.sort(corners, axis=0)).astype(int)
    inside = np.zeros(labels.shape, bool)
    inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    labels[~inside] = GROUND_STROKE


def _draw_line(labels: np.ndarray, points: np.ndarray, radius: float, label: int) -> None:
    """Draws a polyline (N, 2) of a width of two radii, with round ends."""
    starts = points[:-1] if len(points) > 1 else points
    ends = points[1:] if len(points) > 1 else points
    for start, end in zip(starts, ends, strict=True):
        low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
        high = np.ceil(np.maximum(start, end) + radius).astype(int)
        window = labels[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
        if window.size == 0:
            continue
        rows, columns = np.mgrid[: window.shape[0], : window.shape[1]]
        x, y = columns + low[0] + 0.5 - start[0], rows + low[1] + 0.5 - start[1]
        along = end - start
        nearest = np.clip((x * along[0] + y * along[1]) / max(along @ along, 1e-12), 0, 1)
        distance = np.hypot(x - nearest * along[0], y - nearest * along[1])
        window[distance <= radius] = label
