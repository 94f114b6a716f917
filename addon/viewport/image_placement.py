"""Where a picture must lie so that what it shows covers a mesh that a viewport shows. No bpy."""

import numpy as np

_BACKGROUND_TOLERANCE = 0.1
"""Of a channel's range: a pixel that differs more from the picture's border shows the object."""

_MIN_SUBJECT_FRACTION = 0.01
"""Of a row or column: with fewer pixels of the object it counts as empty, whatever specks are in it."""

Rectangle = tuple[float, float, float, float]
"""Left, bottom, width, height."""


def find_subject(pixels: np.ndarray) -> Rectangle:
    """The box of what a picture shows, in parts of its width and height.

    A rough guess that is good enough to look at: what is not transparent, else what differs from the border;
    else everything.

    Args:
        pixels: (H, W, 4) float32 0..1, rows upwards, as Blender has them.
    """
    if pixels[..., 3].min() < 0.5:
        shown = pixels[..., 3] > 0.5
    else:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        shown = np.abs(pixels - np.median(border, axis=0)).max(axis=2) > _BACKGROUND_TOLERANCE
    columns, rows = (np.flatnonzero(shown.mean(axis=axis) > _MIN_SUBJECT_FRACTION) for axis in (0, 1))
    if len(columns) == 0 or len(rows) == 0:
        return 0.0, 0.0, 1.0, 1.0
    height, width = shown.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1 - columns[0]) / width),
        float((rows[-1] + 1 - rows[0]) / height),
    )


def project_bounds(points: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> Rectangle | None:
    """The box of points in a viewport, in pixels; None if one is behind the viewer.

    Args:
        points: (n, 3) in the world's space.
        matrix: (4, 4) from there to the clip space.
        size: width and height of the viewport.
    """
    clip = points @ matrix[:, :3].T + matrix[:, 3]
    if clip[:, 3].min() <= 0:
        return None
    pixels = (clip[:, :2] / clip[:, 3:] + 1) / 2 * size
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return tuple(map(float, (*low, *(high - low))))


def place_image(subject: Rectangle, target: Rectangle, size: tuple[int, int]) -> Rectangle:
    """Where a whole picture lies whose part, of :func:`subject`, covers a box: middle on middle and of the
    same area.

    Args:
        size: of the picture, in its pixels; it keeps its shape.
    """
    width, height = size
    scale = np.sqrt(max(target[2] * target[3], 1.0) / (subject[2] * width * subject[3] * height))
    width, height = float(scale * width), float(scale * height)
    return (
        target[0] + target[2] / 2 - (subject[0] + subject[2] / 2) * width,
        target[1] + target[3] / 2 - (subject[1] + subject[3] / 2) * height,
        width,
        height,
    )


def transform_box(box: Rectangle, shift: tuple[float, float], zoom: float) -> Rectangle:
    """A box that is scaled around its middle and then moved."""
    left, bottom, width, height = box
    return (
        left + shift[0] - width * (zoom - 1) / 2,
        bottom + shift[1] - height * (zoom - 1) / 2,
        zoom * width,
        zoom * height,
    )
