"""Where to draw a flat image in a viewport so that the subject in it covers a mesh there. No bpy.

1. :func:`find_subject`: the rectangle of the image that shows the object.
2. :func:`project_bounds`: the rectangle of the viewport that the mesh covers.
3. :func:`place_image`: the rectangle of the whole image that lays the first onto the second.
"""

import numpy as np

_BACKGROUND_TOLERANCE = 0.1
"""Largest difference from the colour of the image's border, per channel of 0..1, that still is background."""

_MIN_SUBJECT_FRACTION = 0.01
"""A row or column with a smaller fraction of subject pixels counts as empty, so that specks are ignored."""

Rectangle = tuple[float, float, float, float]
"""Left, bottom, width, height."""


def find_subject(pixels: np.ndarray) -> Rectangle:
    """The bounding rectangle of the subject, as fractions of the image's width and height.

    A rough guess that is good enough for a visual comparison: everything opaque in an image with
    transparency, else everything that differs from the border; the whole image if that leaves nothing.

    Args:
        pixels: (H, W, 4) float32 0..1, row 0 at the bottom, as Blender stores them.
    """
    if pixels[..., 3].min() < 0.5:
        is_subject = pixels[..., 3] > 0.5
    else:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        is_subject = np.abs(pixels - np.median(border, axis=0)).max(axis=2) > _BACKGROUND_TOLERANCE
    columns, rows = (np.flatnonzero(is_subject.mean(axis=axis) > _MIN_SUBJECT_FRACTION) for axis in (0, 1))
    if len(columns) == 0 or len(rows) == 0:
        return 0.0, 0.0, 1.0, 1.0
    height, width = is_subject.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1 - columns[0]) / width),
        float((rows[-1] + 1 - rows[0]) / height),
    )


def project_bounds(points: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> Rectangle | None:
    """The bounding rectangle of projected points in a viewport, in pixels; None if one is behind the viewer.

    Args:
        points: (n, 3) in world space.
        matrix: (4, 4) from world space to clip space.
        size: width and height of the viewport in pixels.
    """
    clip = points @ matrix[:, :3].T + matrix[:, 3]
    if clip[:, 3].min() <= 0:
        return None
    pixels = (clip[:, :2] / clip[:, 3:] + 1) / 2 * size
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return tuple(map(float, (*low, *(high - low))))


def place_image(subject: Rectangle, target: Rectangle, size: tuple[int, int]) -> Rectangle:
    """The rectangle of the whole image whose subject covers a target rectangle: same centre, same area.

    Args:
        subject: of :func:`find_subject`, in fractions of the image.
        target: in the viewport's pixels.
        size: width and height of the image in its own pixels; the aspect ratio is kept.
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


def transform_rectangle(rectangle: Rectangle, shift: tuple[float, float], zoom: float) -> Rectangle:
    """A rectangle scaled around its centre, then moved by ``shift``."""
    left, bottom, width, height = rectangle
    return (
        left + shift[0] - width * (zoom - 1) / 2,
        bottom + shift[1] - height * (zoom - 1) / 2,
        zoom * width,
        zoom * height,
    )
