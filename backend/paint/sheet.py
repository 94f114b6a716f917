"""Splits a sheet: one image with several views of an object beside each other becomes a picture for each."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .foreground import segment_all
from .reference import Reference


@dataclass(frozen=True)
class SheetConfig:
    """What in a sheet is a view, what is part of one, and what is neither."""

    # Fraction of the largest thing's area from which on a thing is a view of its own.
    min_view_area: float = 0.25
    # Fraction of the nearest view's height below which a thing beside it is a letter of a caption.
    max_letter_height: float = 0.12
    # The same within which a thing belongs to the view next to it, as a hat above a head does.
    max_part_gap: float = 0.3
    # Fraction of the image's shorter side below which a thing is so thin that it is a line between views, ...
    max_line_width: float = 0.02
    # ... if it is so many times as long.
    min_line_length: float = 12.0
    # Smallest fraction of the image that anything covers.
    min_area: float = 0.0002
    # Room around a view, as a fraction of its longer side.
    margin: float = 0.08


@dataclass(frozen=True)
class _Thing:
    """A connected part of the foreground: its label, box (left, top, right, bottom) and area in pixels."""

    label: int
    box: tuple[int, int, int, int]
    area: int

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]


def split_sheet(reference: Reference, config: SheetConfig = SheetConfig()) -> list[Reference]:
    """The views of a sheet as images of their own, in reading order: row by row, each from the left. Their
    alpha holds the view alone, and the ground is painted over captions, lines and what is beside it. An image
    of one object comes back as one image.

    Args:
        reference: the sheet, before a plain or transparent ground.
        config: of the decisions.
    """
    alpha = segment_all(reference.color) if reference.opaque else reference.alpha
    _, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.5).astype(np.uint8), connectivity=8)
    things = [
        _Thing(label, (int(x), int(y), int(x + width), int(y + height)), int(area))
        for label, (x, y, width, height, area) in enumerate(stats)
        if label and area >= config.min_area * alpha.size
    ]
    things = [thing for thing in things if not _is_line(thing, alpha.shape, config)]
    if not things:
        return []
    least = config.min_view_area * max(thing.area for thing in things)
    views = {thing.label: [thing] for thing in things if thing.area >= least}
    for thing in things:
        if thing.area < least and (owner := _find_owner(thing, [own[0] for own in views.values()], config)):
            views[owner.label].append(thing)
    return [_crop(reference, alpha, labels, own, config) for own in _sort_by_rows(list(views.values()))]


def _is_line(thing: _Thing, shape: tuple[int, int], config: SheetConfig) -> bool:
    """Whether a thing is a line between views, or a frame around them."""
    short, long = sorted((thing.width, thing.height))
    is_thin = short < config.max_line_width * min(shape) and long > config.min_line_length * short
    is_frame = thing.area < config.max_line_width * thing.width * thing.height * 4 and long > min(shape) / 3
    return is_thin or is_frame


def _find_owner(thing: _Thing, views: list[_Thing], config: SheetConfig) -> _Thing | None:
    """The view that a small thing is part of; None if it is a caption, or of none."""
    nearest = min(views, key=lambda view: _gap(thing, view))
    gap = _gap(thing, nearest)
    if gap == 0:
        return nearest
    is_letter = thing.height < config.max_letter_height * nearest.height
    return None if is_letter or gap > config.max_part_gap * nearest.height else nearest


def _gap(one: _Thing, other: _Thing) -> float:
    """Pixels between two boxes, 0 if they overlap."""
    across = max(one.box[0] - other.box[2], other.box[0] - one.box[2], 0)
    down = max(one.box[1] - other.box[3], other.box[1] - one.box[3], 0)
    return float(np.hypot(across, down))


def _sort_by_rows(views: list[list[_Thing]]) -> list[list[_Thing]]:
    """Views in reading order. Those whose middles lie within each other's height are in one row."""
    rows: list[list[list[_Thing]]] = []
    for view in sorted(views, key=lambda own: own[0].box[1]):
        middle = (view[0].box[1] + view[0].box[3]) / 2
        row = next((row for row in rows if row[0][0].box[1] < middle < row[0][0].box[3]), None)
        if row is None:
            rows.append([view])
        else:
            row.append(view)
    return [view for row in rows for view in sorted(row, key=lambda own: own[0].box[0])]


def _crop(
    reference: Reference, alpha: np.ndarray, labels: np.ndarray, own: list[_Thing], config: SheetConfig
) -> Reference:
    """One view with some room around it; the pixels are as they were."""
    left, top = (min(thing.box[axis] for thing in own) for axis in (0, 1))
    right, bottom = (max(thing.box[axis] for thing in own) for axis in (2, 3))
    room = round(config.margin * max(right - left, bottom - top))
    rows = slice(max(0, top - room), min(alpha.shape[0], bottom + room))
    columns = slice(max(0, left - room), min(alpha.shape[1], right + room))
    shown = np.isin(labels[rows, columns], [thing.label for thing in own]).astype(np.uint8)
    # The soft rim of the view, but nothing of what is beside it.
    near = cv2.dilate(shown, np.ones((5, 5), np.uint8)) > 0
    others = (labels[rows, columns] > 0) & (shown == 0)
    cut = np.where(near & ~others, alpha[rows, columns], 0).astype(np.float32)
    color = reference.color[rows, columns].copy()
    ground = labels[rows, columns] == 0
    if ground.any():
        color[cv2.dilate(others.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool) & ~near] = (
            np.median(color[ground], axis=0)
        )
    return replace(
        reference, color=color, alpha=cut, segmented=reference.opaque or reference.segmented, mask_notes=()
    )
