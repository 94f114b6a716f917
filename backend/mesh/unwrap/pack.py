"""Packing flat charts into one square with xatlas."""

import numpy as np
import xatlas

from ..edges import components
from .flatten import signed_areas

MANY = 64
"""Charts from which places are searched on a finer grid: rounding to whole cells wastes more on small
charts."""

FILLED = 0.65
"""Part of the square that charts are expected to fill."""

SMALLEST_AREA = 1e-6
"""Cells: xatlas leaves out triangles somewhat smaller than this."""

ANGLES = np.linspace(0, np.pi / 2, 32, endpoint=False)


def pack(uvs: np.ndarray, wedges: np.ndarray, chart: np.ndarray, texture_size: int) -> np.ndarray:
    """Places charts beside each other.

    Only the place is taken from xatlas: it stretches every chart to whole cells, which would spoil small
    ones, and may mirror it.

    Args:
        uvs: (F, 3, 2) float64, all charts at one scale.
        wedges: (F, 3) integers from 0: corners of one number lie at one place.
        chart: (F,) integers from 0, none left out.
        texture_size: texels along a side; charts are kept at least two of them, and a 512th of the side,
            apart.

    Returns:
        (F, 3, 2) float32 in 0..1.
    """
    uvs = _lying(uvs, chart)
    area = np.abs(signed_areas(uvs)).sum()
    cells = 768 if chart.max() >= MANY else 512
    uvs = uvs * (cells * np.sqrt(FILLED / max(area, 1e-30)))
    padding = int(np.ceil(max(2, texture_size // 512) * cells / texture_size))
    points, triangles, owner = _shapes(uvs, wedges, chart)
    lying = _placed(uvs, points, triangles, owner, chart, padding)
    standing = _placed(_quarter_turn(uvs), _quarter_turn(points), triangles, owner, chart, padding)
    uvs, size = min(lying, standing, key=lambda layout: layout[1])
    return (uvs / size).astype(np.float32)


def _quarter_turn(uvs):
    return np.stack([-uvs[..., 1], uvs[..., 0]], axis=-1)


def _placed(uvs, points, triangles, owner, chart, padding):
    """``(uvs, size)``: the charts moved to places that do not overlap, in cells, and the side of the square
    around all."""
    places, size = _places(points, triangles, owner, padding)
    low, high = _boxes(points[triangles], owner)
    # xatlas rounds sizes up to whole cells, so a chart in the middle of its place keeps its distance on all
    # sides.
    shift = places - (low + high) / 2
    # Triangles that were too small to be placed may stick out by a hair.
    return np.clip(uvs + shift[chart][:, None], 0, size), size


def _lying(uvs, chart):
    """Every chart turned so that its bounding box is smallest and wider than high."""
    order = np.argsort(chart, kind="stable")
    points = uvs[order].reshape(-1, 2)
    first = 3 * np.searchsorted(chart[order], np.arange(chart.max() + 1))
    best, turn = np.full(len(first), np.inf), np.zeros(len(first))
    for angle in ANGLES:
        x, y = points @ [np.cos(angle), -np.sin(angle)], points @ [np.sin(angle), np.cos(angle)]
        width = np.maximum.reduceat(x, first) - np.minimum.reduceat(x, first)
        height = np.maximum.reduceat(y, first) - np.minimum.reduceat(y, first)
        better = width * height < best
        best[better] = (width * height)[better]
        turn[better] = np.where(height > width, angle - np.pi / 2, angle)[better]
    cosine, sine = np.cos(turn)[chart][:, None], np.sin(turn)[chart][:, None]
    return np.stack(
        [cosine * uvs[..., 0] - sine * uvs[..., 1], sine * uvs[..., 0] + cosine * uvs[..., 1]], axis=-1
    )


def _boxes(uvs, chart):
    """``(low, high)`` (C, 2): the charts' bounding boxes."""
    low, high = np.full((chart.max() + 1, 2), np.inf), np.full((chart.max() + 1, 2), -np.inf)
    np.minimum.at(low, chart, uvs.min(axis=1))
    np.maximum.at(high, chart, uvs.max(axis=1))
    return low, high


def _shapes(uvs, wedges, chart):
    """``(points, triangles, owner)`` to be placed: the charts, but boxes for those of which xatlas would lose
    a part.

    It places apart what does not hang together by corners, and leaves out triangles without area.
    """
    kept = np.abs(signed_areas(uvs)) > SMALLEST_AREA
    names, triangles = np.unique(wedges[kept], return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    points = np.zeros((int(wedges.max()) + 1, 2))
    points[wedges.ravel()] = uvs.reshape(-1, 2)
    points = points[names]
    first_of_piece = np.unique(components(triangles, np.arange(len(triangles))), return_index=True)[1]
    pieces = np.bincount(chart[kept][first_of_piece], minlength=chart.max() + 1)
    boxed = np.flatnonzero(pieces != 1)
    whole = pieces[chart[kept]] == 1
    (left, bottom), (right, top) = (side[boxed].T for side in _boxes(uvs, chart))
    right, top = np.maximum(right, left + 0.1), np.maximum(top, bottom + 0.1)
    corners = (
        np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
        .transpose(2, 0, 1)
        .reshape(-1, 2)
    )
    halves = len(points) + 4 * np.arange(len(boxed))[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])
    return (
        np.concatenate([points, corners]),
        np.concatenate([triangles[whole], halves.reshape(-1, 3)]),
        np.concatenate([chart[kept][whole], np.repeat(boxed, 2)]),
    )


def _places(points, triangles, owner, padding):
    """``(centres, size)``: the middle of every chart's place (C, 2), in cells, and the side of the square
    around all."""
    atlas = xatlas.Atlas()
    atlas.add_uv_mesh(
        points.astype(np.float32), triangles.astype(np.uint32), owner[:, None].astype(np.uint32)
    )
    options = xatlas.PackOptions()
    options.texels_per_unit = 1.0
    options.padding = padding
    options.bilinear = True
    options.bruteForce = True
    options.rotate_charts = False
    options.rotate_charts_to_axis = False
    atlas.generate(pack_options=options)
    _, corners, packed = atlas.get_mesh(0)
    packed = packed[corners.astype(np.int64)].reshape(-1, 3, 2) * np.array(
        [atlas.width, atlas.height], np.float64
    )
    low, high = _boxes(packed, owner)
    return (low + high) / 2, max(atlas.width, atlas.height)
