"""Parts of a surface: its regions between sharp edges and between material slots."""

import numpy as np
from scipy.sparse import coo_matrix

from .edges import half_edge_lengths, link_components, twin_half_edges
from .surface import Surface, triangle_areas

CREASE_DEGREES = 40.0
"""Degrees between two triangles from which the edge between them is sharp."""

SMALL_FRACTION = 0.003
"""Fraction of the surface below which a region belongs to the part that it shares the longest border with."""


def segment_parts(surface: Surface) -> np.ndarray:
    """(F,) int32 numbers from 0 of the parts.

    Small regions between sharp edges are merged with a neighbour. A loose piece of the mesh is a part however
    small, and so is a region that differs from all around it in its material slot.
    """
    once, same = _unique_faces(surface.faces)
    faces, normals = surface.faces[once], surface.face_normals[once]
    # Regions are connected across edges that are not sharp and lie within one material slot.
    pairs = twin_half_edges(faces)
    if surface.slots is not None:
        slots = surface.slots[once]
        pairs = pairs[slots[pairs[:, 0] // 3] == slots[pairs[:, 1] // 3]]
    neighbours = pairs // 3
    cosine = (normals[neighbours[:, 0]] * normals[neighbours[:, 1]]).sum(axis=1)
    smooth = cosine > np.cos(np.radians(CREASE_DEGREES))
    each = np.arange(len(faces))
    part = link_components(np.hstack([neighbours[smooth].T, [each, each]]))
    lengths, areas = (
        half_edge_lengths(surface.vertices, faces)[pairs[:, 0]],
        triangle_areas(surface.vertices, faces),
    )
    # Merged parts may be small still, so it is repeated until nothing changes.
    while True:
        merged = _merge_small_parts(part, part[neighbours], lengths, np.bincount(part, areas))
        if merged.max() == part.max():
            return part[same]
        part = merged


def _unique_faces(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(once, same)``: the indices (N,) of faces, every triangle once, and for each face (F,) its place
    among them. Edges of doubled faces would all be borders."""
    _, first, same = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_inverse=True)
    return np.sort(first), np.argsort(np.argsort(first))[same.ravel()]


def _merge_small_parts(
    part: np.ndarray, borders: np.ndarray, lengths: np.ndarray, areas: np.ndarray
) -> np.ndarray:
    """(F,) parts after every small one was merged with the neighbour of its longest border; ``borders`` (N,
    2) are the parts on both sides of edges with ``lengths`` (N,), ``areas`` those of the parts."""
    count = len(areas)
    between = borders[:, 0] != borders[:, 1]
    rows, columns = borders[between].T
    shared = coo_matrix((lengths[between], (rows, columns)), shape=(count, count)).tocsr()
    shared = shared + shared.T
    small = np.flatnonzero((areas < SMALL_FRACTION * areas.sum()) & (np.diff(shared.indptr) > 0))
    to = np.asarray(shared[small].argmax(axis=1)).ravel()
    each = np.arange(count)
    return link_components(np.hstack([[small, to], [each, each]]))[part]
