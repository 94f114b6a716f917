"""The first charts of a mesh: grown, flattened, and grown again, smaller, where they do not lie well."""

from collections.abc import Callable

import numpy as np

from ...parallel import iterate_parallel
from ..edges import corner_components, link_components, next_half_edge, twin_half_edges
from ..surface import triangle_areas, triangle_normals
from .chart_growth import grow_charts, sum_by_owner, unit_rows
from .config import UnwrapConfig
from .flatten import flatten_chart, flatten_triangles

ROUND_SHARE = 0.9
"""Fraction of what is left that a round is taken to do, for the progress: few charts need another one."""


def flatten_charts(
    vertices: np.ndarray,
    faces: np.ndarray,
    polygons: np.ndarray,
    config: UnwrapConfig,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Charts that lie well, see :func:`.flatten.flatten_chart`; only a chart of one polygon, which is never
    cut, may lie badly.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        polygons: (F,) integers: triangles of one polygon stay in one chart.
        config: see :class:`.config.UnwrapConfig`.
        progress: called with the fraction done; what it raises ends the work.

    Returns:
        ``uvs`` (F, 3, 2) float64, every chart as large in the plane as in space, ``wedges`` (F, 3) int64 from
        0: corners of one number lie at one place, and ``chart`` (F,) int64 from 0, none left out.
    """
    flat = flatten_triangles(vertices, faces)
    uvs = np.zeros((len(faces), 3, 2))
    wedges = np.zeros((len(faces), 3), np.int64)
    chart = np.zeros(len(faces), np.int64)

    def flatten(members: np.ndarray) -> np.ndarray | None:
        return _flatten_members(flat[members], wedges[members], uvs[members], config)

    waiting, split = np.arange(len(faces)), 1
    begun = 0.0
    count = min(config.max_charts, len(faces) // config.chart_faces + 1)
    while len(waiting):
        # Grow charts over the faces that have none that lies well, at last one per polygon.
        local, polygon = faces[waiting], np.unique(polygons[waiting], return_inverse=True)[1]
        edges = twin_half_edges(local)
        single = count > polygon.max()
        grown = polygon if single else grow_charts(vertices, local, polygon, edges, count, config)
        # Within a chart corners are joined across its edges; what then touches in corners only falls apart.
        inner = edges[grown[edges[:, 0] // 3] == grown[edges[:, 1] // 3]]
        wedges[waiting] = wedges.max() + 1 + _number_wedges(local, polygon, inner)
        grown = corner_components(wedges[waiting], polygon)
        chart[waiting] = chart.max() + 1 + grown
        # Flatten each, starting from its orthographic projection.
        uvs[waiting] = _project_charts(vertices, local, grown)
        members = np.split(waiting[np.argsort(grown, kind="stable")], np.cumsum(np.bincount(grown))[:-1])
        bad = []
        # The iterator has no name, so that its threads end at once when ``progress`` raises.
        for done, (of_chart, places) in enumerate(
            zip(members, iterate_parallel(flatten, members), strict=True)
        ):
            if places is not None:
                uvs[of_chart] = places
            elif not single:
                bad.append(of_chart)
            progress(begun + (1 - begun) * ROUND_SHARE * (done + 1) / len(members))
        begun += (1 - begun) * ROUND_SHARE
        # The next round splits every bad chart into more, smaller ones.
        split *= config.split_factor
        waiting, count = np.sort(np.concatenate([waiting[:0], *bad])), split * len(bad)
    return (
        uvs,
        np.unique(wedges, return_inverse=True)[1].reshape(-1, 3),
        np.unique(chart, return_inverse=True)[1],
    )


def _number_wedges(faces, polygons, joints):
    """(F, 3) int64: one number for the corners of a vertex that are of one polygon, or meet along joints (N,
    2), the two halves of an edge."""
    one, two = joints.T
    across = np.stack(
        [np.concatenate([one, next_half_edge(one)]), np.concatenate([next_half_edge(two), two])]
    )
    corner = (polygons.astype(np.int64)[:, None] * (int(faces.max()) + 1) + faces).ravel()
    _, first, corner = np.unique(corner, return_index=True, return_inverse=True)
    return link_components(
        np.concatenate([across, np.stack([np.arange(len(corner)), first[corner]])], axis=1)
    ).reshape(-1, 3)


def _project_charts(vertices, faces, chart):
    """(F, 3, 2) float64: every chart projected along its mean normal."""
    normal = unit_rows(
        sum_by_owner(triangle_areas(vertices, faces)[:, None] * triangle_normals(vertices, faces), chart)
    )
    across = unit_rows(
        np.cross(np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]), normal)
    )
    axes = np.stack([across, np.cross(normal, across)], axis=1)[chart]
    return np.einsum("fcx,fax->fca", vertices[faces].astype(np.float64), axes)


def _flatten_members(flat, wedges, uvs, config):
    """UVs of one chart, given its projection; None if it does not lie well."""
    # A single triangle is flat, and there may be very many of them.
    if len(flat) == 1:
        return uvs
    return flatten_chart(flat, np.unique(wedges, return_inverse=True)[1].reshape(-1, 3), uvs, config)
