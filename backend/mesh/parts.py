"""Parts of a surface: what hangs together without a sharp edge, or another material slot, between."""

import numpy as np
from scipy.sparse import coo_matrix

from .edges import half_lengths, pieces, twins
from .surface import Surface, triangle_areas

CREASE = 40.0
"""Degrees between two triangles from which on the edge between them is sharp."""

SMALL = 0.003
"""Share of the surface below which a region belongs to the part that it shares the longest border with."""


def parts(surface: Surface) -> np.ndarray:
    """(F,) int32 numbers from 0 of the parts: regions between sharp edges, the small ones with a neighbour;
    loose pieces are parts, and so is what differs from all around it in its material slot, however small."""
    once, same = _without_doubles(surface.faces)
    faces, normals = surface.faces[once], surface.face_normals[once]
    pairs = twins(faces)
    if surface.slots is not None:
        slots = surface.slots[once]
        pairs = pairs[slots[pairs[:, 0] // 3] == slots[pairs[:, 1] // 3]]
    sides = pairs // 3
    smooth = (normals[sides[:, 0]] * normals[sides[:, 1]]).sum(axis=1) > np.cos(np.radians(CREASE))
    each = np.arange(len(faces))
    part = pieces(np.hstack([sides[smooth].T, [each, each]]))
    lengths, areas = (
        half_lengths(surface.vertices, faces)[pairs[:, 0]],
        triangle_areas(surface.vertices, faces),
    )
    while True:
        joined = _joined(part, part[sides], lengths, np.bincount(part, areas))
        if joined.max() == part.max():
            return part[same]
        part = joined


def _without_doubles(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces (N,) with every triangle once, and (F,) which of those each face is: edges of doubled faces would
    all be borders."""
    _, first, same = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_inverse=True)
    return np.sort(first), np.argsort(np.argsort(first))[same.ravel()]


def _joined(part: np.ndarray, borders: np.ndarray, lengths: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Parts (F,) after every small one has gone to a neighbour; ``borders`` (N, 2) are the parts on both
    sides of edges."""
    count = len(areas)
    between = borders[:, 0] != borders[:, 1]
    rows, columns = borders[between].T
    shared = coo_matrix((lengths[between], (rows, columns)), shape=(count, count)).tocsr()
    shared = shared + shared.T
    small = np.flatnonzero((areas < SMALL * areas.sum()) & (np.diff(shared.indptr) > 0))
    to = np.asarray(shared[small].argmax(axis=1)).ravel()
    each = np.arange(count)
    return pieces(np.hstack([[small, to], [each, each]]))[part]
