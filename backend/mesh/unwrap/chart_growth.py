"""Patches that grow all over a mesh at once and bend so little that each can lie flat.

Variational shape approximation (Cohen-Steiner et al. 2004): every patch grows over what suits its middle and
its mean normal, cheapest first, takes the middle and the normal of what it got, and all grow again. Distance
counts besides the normal, so patches are compact.
"""

import heapq

import numpy as np
from numba import njit

from ..edges import half_lengths
from ..surface import triangle_areas, triangle_normals

GROWTHS = 4
"""How often patches grow: their middles and normals settle soon."""

BENDING = 2.0
"""What the squared difference of unit normals costs, in areas of a mean patch, beside the squared
distance."""

LEAST_COSINE = 0.4
"""Between the normals of a patch and of what it grows over: seen from its front, nothing of it is turned
away."""

SMOOTHINGS = 4
"""How often borders are straightened: every tooth of them would make seams longer."""


def grow_patches(
    vertices: np.ndarray, faces: np.ndarray, polygons: np.ndarray, edges: np.ndarray, patches: int
) -> np.ndarray:
    """(F,) int64: patch of every triangle, from 0, polygons kept whole.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) integers.
        polygons: (F,) integers from 0, none left out.
        edges: (N, 2) half-edges across which patches grow, see :func:`backend.mesh.edges.twins`.
        patches: about how many; there are more where the surface bends more.
    """
    area = triangle_areas(vertices, faces)
    weight = np.bincount(polygons, area) + 1e-30
    centres = sums(area[:, None] * vertices[faces].mean(axis=1, dtype=np.float64), polygons) / weight[:, None]
    normals = unit(sums(area[:, None] * triangle_normals(vertices, faces), polygons))
    pairs = polygons[edges // 3]
    pairs, length = (
        np.concatenate([pairs, pairs[:, ::-1]]),
        np.tile(half_lengths(vertices, faces)[edges[:, 0]], 2),
    )
    order = np.argsort(pairs[:, 0], kind="stable")
    pairs, length = pairs[order], length[order]
    first = np.searchsorted(pairs[:, 0], np.arange(len(weight) + 1))
    bending = BENDING * weight.sum() / patches
    # Evenly over the surface, but fine detail gets some too.
    along = np.cumsum(weight / weight.sum() + 1 / len(weight))
    seeds = np.unique(np.searchsorted(along, (np.arange(patches) + 0.5) / patches * along[-1]))
    middles, means = centres[seeds], normals[seeds]
    for _ in range(GROWTHS):
        patch, cost = _grown(first, pairs[:, 1], centres, normals, seeds, middles, means, bending)
        patch = np.unique(patch, return_inverse=True)[1]
        order = np.lexsort((cost, patch))
        seeds = order[np.searchsorted(patch[order], np.arange(patch.max() + 1))]
        middles = sums(weight[:, None] * centres, patch) / np.bincount(patch, weight)[:, None]
        means = unit(sums(weight[:, None] * normals, patch))
    for _ in range(SMOOTHINGS):
        _smooth(patch, first, pairs[:, 1], length)
    return patch[polygons]


def sums(vectors: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(max(owner) + 1, D) float64 sum of the vectors (N, D) of every owner (N,)."""
    return np.stack([np.bincount(owner, column) for column in vectors.T], axis=1)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, D) at length 1; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


@njit(cache=True, nogil=True)
def _grown(first, neighbours, centres, normals, seeds, middles, means, bending):
    """``(patch, cost)`` (N,) of every polygon. What no seed reaches becomes seeds, one after the other."""
    patch, cost = np.full(len(centres), -1), np.zeros(len(centres))
    heap = [(0.0, seed, k) for k, seed in enumerate(seeds)]
    heapq.heapify(heap)
    for start in range(-1, len(centres)):
        if start >= 0 and patch[start] < 0:
            heapq.heappush(heap, (0.0, start, len(seeds) + start))
        while heap:
            value, node, owner = heapq.heappop(heap)
            if patch[node] >= 0:
                continue
            patch[node], cost[node] = owner, value
            added = owner - len(seeds)
            middle, mean = (centres[added], normals[added]) if added >= 0 else (middles[owner], means[owner])
            for other in neighbours[first[node] : first[node + 1]]:
                cosine = (mean * normals[other]).sum()
                if patch[other] < 0 and cosine >= LEAST_COSINE:
                    heapq.heappush(
                        heap,
                        (((centres[other] - middle) ** 2).sum() + bending * (2 - 2 * cosine), other, owner),
                    )
    return patch, cost


@njit(cache=True, nogil=True)
def _smooth(patch, first, neighbours, length):
    """Polygons along a border move to a patch that more of their outline touches than their own."""
    for node in range(len(patch)):
        around = np.arange(first[node], first[node + 1])
        for candidate in patch[neighbours[around]]:
            gain = 0.0
            for i in around:
                if patch[neighbours[i]] == candidate:
                    gain += length[i]
                elif patch[neighbours[i]] == patch[node]:
                    gain -= length[i]
            if candidate != patch[node] and gain > 1e-9 * length[first[node]]:
                patch[node] = candidate
