"""Packing flat charts into one square: with xatlas, or in rows where xatlas would take too long."""

import numpy as np
import xatlas

from ..edges import corner_components
from .config import DEFAULT_UNWRAP_CONFIG, UnwrapConfig
from .flatten import uv_areas

MIN_PACKED_AREA = 1e-6
"""Cells: xatlas leaves out triangles somewhat smaller than this."""

MIN_BOX_SIZE = 0.1
"""Cells along the sides of a box that stands for a chart."""

MAX_SQUARES = 4
"""Squares of the intended size that the boxes of all charts may fill."""


def pack_charts(
    uvs: np.ndarray,
    wedges: np.ndarray,
    chart: np.ndarray,
    texture_size: int,
    config: UnwrapConfig = DEFAULT_UNWRAP_CONFIG,
) -> np.ndarray:
    """Places charts beside each other.

    Only the places are taken from xatlas: it stretches every chart to whole cells, which would distort small
    ones, and may mirror it.

    Args:
        uvs: (F, 3, 2) float64, all charts at one scale.
        wedges: (F, 3) integers from 0: corners of one number lie at one place.
        chart: (F,) integers from 0, none left out.
        texture_size: texels along a side; charts are kept at least two of them, and a 512th of the side,
            apart.
        config: grids and the fraction to fill.

    Returns:
        (F, 3, 2) float32 in 0..1.
    """
    # Turn the charts, and scale them to cells so that the square will about be filled.
    uvs = _turn_to_smallest_boxes(uvs, chart, config.turns)
    cells = config.fine_packing_cells if chart.max() >= config.many_charts else config.packing_cells
    padding = int(np.ceil(max(2, texture_size // 512) * cells / texture_size))
    uvs = uvs * _cells_per_unit(uvs, chart, cells, padding + 1, config.filled)
    low, high = _boxes(uvs, chart)
    if len(low) * (high - low + padding + 1).prod(axis=1).sum() > config.max_packing_tests:
        places, size = _place_in_rows(high - low, padding)
        uvs = (uvs + (places - (low + high) / 2)[chart][:, None]) / size
        return np.clip(uvs, 0, 1).astype(np.float32)
    # Twice, lying and a quarter turn on: the smaller square wins.
    points, triangles, owner = _packing_shapes(uvs, wedges, chart)
    lying = _place_charts(uvs, points, triangles, owner, chart, padding)
    standing = _place_charts(_quarter_turn(uvs), _quarter_turn(points), triangles, owner, chart, padding)
    uvs, size = min(lying, standing, key=lambda layout: layout[1])
    return (uvs / size).astype(np.float32)


def _cells_per_unit(uvs, chart, cells, margin, filled):
    """The scale at which charts fill ``filled`` of a square of ``cells`` squared, or a smaller one, at which
    none of them is longer than that square and their boxes, each with its ``margin``, fill only a few such
    squares: long thin charts have hardly any area and reach far."""
    low, high = _boxes(uvs, chart)
    width, height = np.maximum(high - low, 0).T
    scale = cells * np.sqrt(filled / max(np.abs(uv_areas(uvs)).sum(), 1e-30))
    # The boxes cover ``square * scale**2 + border * scale + rest`` cells.
    square, border = (width * height).sum(), margin * (width + height).sum()
    rest = len(low) * margin**2
    room = MAX_SQUARES * max(cells**2, rest) - rest
    fitting = 2 * room / (border + np.sqrt(border**2 + 4 * square * room))
    return min(scale, cells / max(width.max(), height.max()), fitting)


def _place_in_rows(sizes, padding):
    """``(centres, size)`` like :func:`_pack_with_xatlas`, of boxes (C, 2) side by side in rows, the highest
    first."""
    order = np.argsort(-sizes[:, 1], kind="stable")
    widths, heights = (sizes[order] + padding).T
    # Of some widths of the square the one whose rows end lowest in it.
    side = np.sqrt((widths * heights).sum())
    layouts = [
        _fill_rows(widths, heights, max(widths.max(), side * factor)) for factor in np.linspace(1, 1.3, 13)
    ]
    corners, size = min(layouts, key=lambda layout: layout[1])
    centres = np.empty_like(sizes)
    centres[order] = corners + sizes[order] / 2
    return centres, size


def _fill_rows(widths, heights, side):
    """``(corners, size)``: the lower left corners (N, 2) of boxes in rows of the length ``side``, and the
    size of the square around all."""
    ends = np.cumsum(widths)
    corners = np.zeros((len(widths), 2))
    first, bottom = 0, 0.0
    while first < len(widths):
        begin = ends[first] - widths[first]
        end = max(first + 1, int(np.searchsorted(ends, begin + side, side="right")))
        corners[first:end, 0] = ends[first:end] - widths[first:end] - begin
        corners[first:end, 1] = bottom
        bottom += heights[first]
        first = end
    return corners, max(side, bottom)


def _quarter_turn(uvs):
    """Points (..., 2) turned by 90 degrees, counter-clockwise."""
    return np.stack([-uvs[..., 1], uvs[..., 0]], axis=-1)


def _place_charts(uvs, points, triangles, owner, chart, padding):
    """``(uvs, size)``: the charts moved to places that do not overlap, in cells, and the size of the square
    around all."""
    places, size = _pack_with_xatlas(points, triangles, owner, padding)
    low, high = _boxes(points[triangles], owner)
    # xatlas rounds sizes up to whole cells, so a chart in the middle of its place keeps its distance on all
    # sides.
    shift = places - (low + high) / 2
    # Triangles that were too small to be placed may stick out by a hair.
    return np.clip(uvs + shift[chart][:, None], 0, size), size


def _turn_to_smallest_boxes(uvs, chart, turns):
    """Every chart turned so that its bounding box is smallest, and wider than high."""
    order = np.argsort(chart, kind="stable")
    points = uvs[order].reshape(-1, 2)
    first = 3 * np.searchsorted(chart[order], np.arange(chart.max() + 1))
    best, turn = np.full(len(first), np.inf), np.zeros(len(first))
    for angle in np.linspace(0, np.pi / 2, turns, endpoint=False):
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


def _packing_shapes(uvs, wedges, chart):
    """``(points, triangles, owner)`` to be placed: the charts, but boxes for those that xatlas would not keep
    whole.

    It places triangles apart that are not connected by corners, and leaves out triangles without area.
    """
    # The triangles that it keeps, over points numbered from 0.
    kept = np.abs(uv_areas(uvs)) > MIN_PACKED_AREA
    names, triangles = np.unique(wedges[kept], return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    points = np.zeros((int(wedges.max()) + 1, 2))
    points[wedges.ravel()] = uvs.reshape(-1, 2)
    points = points[names]
    # Charts in more than one connected piece, or in none, become two triangles of their box.
    first_of_piece = np.unique(corner_components(triangles, np.arange(len(triangles))), return_index=True)[1]
    pieces = np.bincount(chart[kept][first_of_piece], minlength=chart.max() + 1)
    low, high = _boxes(uvs, chart)
    # So do those that overlap themselves: drawing all their triangles could take for ever.
    folded = np.bincount(chart, np.abs(uv_areas(uvs))) > 1.001 * (high - low).prod(axis=1)
    whole = ((pieces == 1) & ~folded)[chart[kept]]
    boxed = np.flatnonzero((pieces != 1) | folded)
    (left, bottom), (right, top) = low[boxed].T, high[boxed].T
    right, top = np.maximum(right, left + MIN_BOX_SIZE), np.maximum(top, bottom + MIN_BOX_SIZE)
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


def _pack_with_xatlas(points, triangles, owner, padding):
    """``(centres, size)``: the middle of every chart's place (C, 2), in cells, and the size of the square
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
