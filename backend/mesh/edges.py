"""Which triangles hang together, and across which edges. A half-edge is ``3 * face + corner``: from that
corner to the next."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def next_half(half: np.ndarray) -> np.ndarray:
    """The half-edge that follows in the same triangle."""
    return half - half % 3 + (half + 1) % 3


def twins(faces: np.ndarray) -> np.ndarray:
    """(N, 2) int64 half-edges of every edge that just two triangles share, each running it in the other
    direction."""
    start, end = faces.ravel().astype(np.int64), faces[:, [1, 2, 0]].ravel().astype(np.int64)
    key = np.minimum(start, end) * (int(faces.max()) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    _, first, count = np.unique(key[order], return_index=True, return_counts=True)
    pairs = np.stack([order[first[count == 2]], order[first[count == 2] + 1]], axis=1)
    return pairs[start[pairs[:, 0]] == end[pairs[:, 1]]]


def half_lengths(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(3 F,) float64 lengths of the half-edges."""
    corners = vertices[faces].astype(np.float64)
    return np.linalg.norm(corners[:, [1, 2, 0]] - corners, axis=2).ravel()


def components(corners: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(F,) int64 numbers from 0 of the pieces that hang together by corners (F, 3) or by polygons (F,), both
    integers from 0."""
    size = int(corners.max(initial=-1)) + 1
    nodes = size + int(polygon.max(initial=-1)) + 1
    links = coo_matrix(
        (np.ones(corners.size, bool), (corners.ravel(), size + np.repeat(polygon, 3))), shape=(nodes, nodes)
    )
    piece = connected_components(links, directed=False)[1][size + polygon]
    return np.unique(piece, return_inverse=True)[1]


def pieces(links: np.ndarray) -> np.ndarray:
    """(N,) int32 piece of each of N things, given (2, M) which hang together."""
    count = int(links.max()) + 1
    return connected_components(
        coo_matrix((np.ones(links.shape[1], bool), links), shape=(count, count)), directed=False
    )[1]


def border_edges(faces: np.ndarray) -> np.ndarray:
    """(N, 2) int32 vertices of every edge that just one triangle of faces (F, 3) has."""
    edges = np.stack([faces, faces[:, [1, 2, 0]]], axis=2).reshape(-1, 2)
    key = edges.min(axis=1).astype(np.int64) * (int(faces.max()) + 1) + edges.max(axis=1)
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    return edges[first[count == 1]]
