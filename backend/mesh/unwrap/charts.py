"""The first charts of a mesh: patches laid flat, and grown again, smaller, where they do not lie well."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..edges import components, next_half, pieces, twins
from ..surface import triangle_areas, triangle_normals
from .chart_growth import grow_patches, sums, unit
from .flatten import laid_flat, lay_flat

PATCHES = 320
"""The most patches of a mesh: the fewer, the less is left to join; the more, the flatter they lie."""

PATCH_FACES = 60
"""Triangles per patch where that makes fewer."""

FINER = 4
"""Into how many a patch is cut that does not lie well; of those again each into as many times more."""


def flat_charts(
    vertices: np.ndarray, faces: np.ndarray, polygons: np.ndarray, progress: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Charts that lie well, see :func:`backend.mesh.unwrap.flatten.laid_flat`; only a polygon, which is never
    cut, may do otherwise.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        polygons: (F,) integers: triangles of one polygon hang together.
        progress: told the fraction done; what it raises ends the work.

    Returns:
        ``uvs`` (F, 3, 2) float64, every chart as large in the plane as in space, ``wedges`` (F, 3) int64 from
        0: corners of one number lie at one place, and ``chart`` (F,) int64 from 0, none left out.
    """
    flat = lay_flat(vertices, faces)
    uvs, wedges, chart = (
        np.zeros((len(faces), 3, 2)),
        np.zeros((len(faces), 3), np.int64),
        np.zeros(len(faces), np.int64),
    )
    waiting, patches, finer = np.arange(len(faces)), min(PATCHES, len(faces) // PATCH_FACES + 1), 1
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        while len(waiting):
            local, polygon = faces[waiting], np.unique(polygons[waiting], return_inverse=True)[1]
            edges = twins(local)
            single = patches > polygon.max()
            patch = polygon if single else grow_patches(vertices, local, polygon, edges, patches)
            wedges[waiting] = (
                wedges.max()
                + 1
                + _wedges(local, polygon, edges[patch[edges[:, 0] // 3] == patch[edges[:, 1] // 3]])
            )
            patch = components(wedges[waiting], polygon)
            chart[waiting] = chart.max() + 1 + patch
            uvs[waiting] = _projected(vertices, local, patch)
            members = np.split(waiting[np.argsort(patch, kind="stable")], np.cumsum(np.bincount(patch))[:-1])
            bad = []
            flattened = pool.map(lambda faces: _flattened(flat[faces], wedges[faces], uvs[faces]), members)
            for done, (faces_of_patch, places) in enumerate(zip(members, flattened, strict=True)):
                if places is not None:
                    uvs[faces_of_patch] = places
                elif not single:
                    bad.append(faces_of_patch)
                progress((done + 1) / len(members))
            finer *= FINER
            waiting, patches = np.sort(np.concatenate([waiting[:0], *bad])), finer * len(bad)
    finally:
        pool.shutdown(cancel_futures=True)
    return (
        uvs,
        np.unique(wedges, return_inverse=True)[1].reshape(-1, 3),
        np.unique(chart, return_inverse=True)[1],
    )


def _wedges(faces, polygons, joints):
    """(F, 3) int64: one number for the corners of a vertex that are of one polygon, or meet along joints, the
    two halves of an edge."""
    one, two = joints.T
    across = np.stack([np.concatenate([one, next_half(one)]), np.concatenate([next_half(two), two])])
    corner = (polygons.astype(np.int64)[:, None] * (int(faces.max()) + 1) + faces).ravel()
    _, first, corner = np.unique(corner, return_index=True, return_inverse=True)
    return pieces(
        np.concatenate([across, np.stack([np.arange(len(corner)), first[corner]])], axis=1)
    ).reshape(-1, 3)


def _projected(vertices, faces, chart):
    """(F, 3, 2): every chart as it looks from its front."""
    normal = unit(sums(triangle_areas(vertices, faces)[:, None] * triangle_normals(vertices, faces), chart))
    across = unit(
        np.cross(np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]), normal)
    )
    axes = np.stack([across, np.cross(normal, across)], axis=1)[chart]
    return np.einsum("fcx,fax->fca", vertices[faces].astype(np.float64), axes)


def _flattened(flat, wedges, uvs):
    """UVs of a patch, given how it looks from its front; None if it does not lie well."""
    # A single triangle is flat, and there may be very many of them.
    return (
        uvs
        if len(flat) == 1
        else laid_flat(flat, np.unique(wedges, return_inverse=True)[1].reshape(-1, 3), uvs)
    )
