"""Packing flat charts into one square with xatlas."""

import numpy as np
import xatlas
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .edges import twins

MANY = 64
"""Charts from which places are searched on a finer grid: rounding to whole cells wastes more on small charts."""

FILLED = 0.65
"""Part of the square that charts are expected to fill."""

ANGLES = np.linspace(0, np.pi / 2, 32, endpoint=False)


def pack(uvs: np.ndarray, wedges: np.ndarray, chart: np.ndarray, texture_size: int) -> np.ndarray:
    """Places charts beside each other.

    Only the place is taken from xatlas: it stretches every chart to whole cells, which would spoil small ones, and may mirror it.

    Args:
        uvs: (F, 3, 2) float64, all charts at one scale.
        wedges: (F, 3) integers from 0: corners of one number lie at one place.
        chart: (F,) integers from 0, none left out.
        texture_size: texels along a side; charts are kept at least two of them, and a 512th of the side, apart.

    Returns:
        (F, 3, 2) float32 in 0..1.
    """
    uvs = _lying(uvs, chart)
    edges = uvs[:, 1:] - uvs[:, :1]
    area = 0.5 * np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum()
    cells = 768 if chart.max() >= MANY else 512
    lying = uvs * (cells * np.sqrt(FILLED / max(area, 1e-30)))
    standing = np.stack([-lying[..., 1], lying[..., 0]], axis=-1)
    padding = int(np.ceil(max(2, texture_size // 512) * cells / texture_size))
    placed = [_placed(uvs, wedges, chart, padding) for uvs in (lying, standing)]
    uvs, size = min(placed, key=lambda layout: layout[1])
    return (uvs / size).astype(np.float32)


def _placed(uvs, wedges, chart, padding):
    """``(uvs, size)``: the charts moved to places that do not overlap, in cells, and the side of the square around all."""
    low, high = _boxes(uvs, chart)
    points, triangles, owner = _shapes(uvs, wedges, chart, low, high)
    places, size = _places(points, triangles, owner, padding)
    # xatlas rounds sizes up to whole cells, so a chart in the middle of its place keeps its distance on all sides.
    shift = places - (low + high) / 2
    return uvs + shift[chart][:, None], size


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
    return np.stack([cosine * uvs[..., 0] - sine * uvs[..., 1], sine * uvs[..., 0] + cosine * uvs[..., 1]], axis=-1)


def _boxes(uvs, chart):
    """``(low, high)`` (C, 2): the charts' bounding boxes."""
    low, high = np.full((chart.max() + 1, 2), np.inf), np.full((chart.max() + 1, 2), -np.inf)
    np.minimum.at(low, chart, uvs.min(axis=1))
    np.maximum.at(high, chart, uvs.max(axis=1))
    return low, high


def _shapes(uvs, wedges, chart, low, high):
    """``(points, triangles, owner)`` to be placed: the charts, but boxes for those that do not hang together by edges.

    xatlas would place the pieces of such a chart apart.
    """
    halves = twins(wedges)
    links = coo_matrix((np.ones(len(halves), bool), (halves // 3).T), shape=(len(chart),) * 2)
    piece = connected_components(links, directed=False)[1]
    loose = np.bincount(chart[np.unique(piece, return_index=True)[1]], minlength=len(low)) > 1
    points = np.zeros((wedges.max() + 1, 2))
    points[wedges.ravel()] = uvs.reshape(-1, 2)
    boxes = np.flatnonzero(loose)
    corners = np.stack([low, np.stack([high[:, 0], low[:, 1]], axis=1), high, np.stack([low[:, 0], high[:, 1]], axis=1)], axis=1)[boxes]
    halves_of_boxes = len(points) + 4 * np.arange(len(boxes))[:, None, None] + [[0, 1, 2], [0, 2, 3]]
    kept = ~loose[chart]
    return (np.concatenate([points, corners.reshape(-1, 2)]), np.concatenate([wedges[kept], halves_of_boxes.reshape(-1, 3)]),
            np.concatenate([chart[kept], np.repeat(boxes, 2)]))


def _places(points, triangles, owner, padding):
    """``(centres, size)``: the middle of every chart's place (C, 2), in cells, and the side of the square around all."""
    used, triangles = np.unique(triangles, return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    atlas = xatlas.Atlas()
    atlas.add_uv_mesh(points[used].astype(np.float32), triangles.astype(np.uint32), owner[:, None].astype(np.uint32))
    options = xatlas.PackOptions()
    options.texels_per_unit = 1.0
    options.padding = padding
    options.bilinear = True
    options.bruteForce = True
    options.rotate_charts = False
    options.rotate_charts_to_axis = False
    atlas.generate(pack_options=options)
    _, corners, packed = atlas.get_mesh(0)
    packed = packed[corners.astype(np.int64)].reshape(-1, 3, 2) * np.array([atlas.width, atlas.height], np.float64)
    low, high = _boxes(packed, owner)
    return (low + high) / 2, max(atlas.width, atlas.height)
