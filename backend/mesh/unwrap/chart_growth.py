"""Charts that grow all over a mesh at once and bend so little that each can lie flat.

Variational shape approximation (Cohen-Steiner et al. 2004): every chart grows over the polygons that suit its
middle and its mean normal, cheapest first, takes the middle and the normal of what it got, and all grow
again. Distance counts besides the normal, so charts are compact.
"""

import heapq

import numpy as np
from numba import njit

from ..edges import half_edge_lengths
from ..surface import triangle_areas, triangle_normals
from .config import DEFAULT_UNWRAP_CONFIG, UnwrapConfig


def grow_charts(
    vertices: np.ndarray,
    faces: np.ndarray,
    polygons: np.ndarray,
    edges: np.ndarray,
    count: int,
    config: UnwrapConfig = DEFAULT_UNWRAP_CONFIG,
) -> np.ndarray:
    """(F,) int64: chart of every triangle, from 0, polygons kept whole.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) integers.
        polygons: (F,) integers from 0, none left out.
        edges: (N, 2) half-edges across which charts grow, see :func:`backend.mesh.edges.twin_half_edges`.
        count: charts, about; there are more where the surface bends more.
        config: costs and repetitions.
    """
    # Nodes are polygons: their areas, middles and normals.
    area = triangle_areas(vertices, faces)
    weight = np.bincount(polygons, area) + 1e-30
    centres = (
        sum_by_owner(area[:, None] * vertices[faces].mean(axis=1, dtype=np.float64), polygons)
        / weight[:, None]
    )
    normals = unit_rows(sum_by_owner(area[:, None] * triangle_normals(vertices, faces), polygons))
    # Neighbouring polygons in both directions, grouped by the first; ``first`` is where each group begins.
    pairs = polygons[edges // 3]
    pairs, length = (
        np.concatenate([pairs, pairs[:, ::-1]]),
        np.tile(half_edge_lengths(vertices, faces)[edges[:, 0]], 2),
    )
    order = np.argsort(pairs[:, 0], kind="stable")
    pairs, length = pairs[order], length[order]
    first = np.searchsorted(pairs[:, 0], np.arange(len(weight) + 1))
    bending = config.bending_cost * weight.sum() / count
    # Seeds evenly over the surface, but fine detail gets some too.
    along = np.cumsum(weight / weight.sum() + 1 / len(weight))
    seeds = np.unique(np.searchsorted(along, (np.arange(count) + 0.5) / count * along[-1]))
    middles, means = centres[seeds], normals[seeds]
    for _ in range(config.growths):
        chart, cost = _grow(
            first,
            pairs[:, 1],
            centres,
            normals,
            seeds,
            middles=middles,
            means=means,
            bending=bending,
            min_cosine=config.min_cosine,
        )
        chart = np.unique(chart, return_inverse=True)[1]
        # Next seeds: the polygon of each chart that costs least; next proxies: its middle and mean normal.
        order = np.lexsort((cost, chart))
        seeds = order[np.searchsorted(chart[order], np.arange(chart.max() + 1))]
        middles = sum_by_owner(weight[:, None] * centres, chart) / np.bincount(chart, weight)[:, None]
        means = unit_rows(sum_by_owner(weight[:, None] * normals, chart))
    for _ in range(config.smoothings):
        _straighten_borders(chart, first, pairs[:, 1], length)
    return chart[polygons]


def sum_by_owner(vectors: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(max(owner) + 1, D) float64 sum of the vectors (N, D) of every owner (N,)."""
    return np.stack([np.bincount(owner, column) for column in vectors.T], axis=1)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, D) at length 1; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


@njit(cache=True, nogil=True)
def _grow(first, neighbours, centres, normals, seeds, middles, means, bending, min_cosine):
    """``(chart, cost)`` (N,) of every polygon. Polygons that no seed reaches become seeds, one after the
    other.

    Args:
        first, neighbours: polygon n's neighbours are ``neighbours[first[n] : first[n + 1]]``.
        centres, normals: (N, 3) of the polygons.
        seeds: (C,) polygons; ``middles`` and ``means`` (C, 3) are the charts' proxies.
        bending, min_cosine: see :class:`.config.UnwrapConfig`.
    """
    chart, cost = np.full(len(centres), -1), np.zeros(len(centres))
    heap = [(0.0, seed, k) for k, seed in enumerate(seeds)]
    heapq.heapify(heap)
    for start in range(-1, len(centres)):
        # First from all seeds at once (-1), then from each polygon that is left.
        if start >= 0 and chart[start] < 0:
            heapq.heappush(heap, (0.0, start, len(seeds) + start))
        while heap:
            value, node, owner = heapq.heappop(heap)
            if chart[node] >= 0:
                continue
            chart[node], cost[node] = owner, value
            # A seed that was added is its chart's proxy.
            added = owner - len(seeds)
            middle, mean = (centres[added], normals[added]) if added >= 0 else (middles[owner], means[owner])
            for other in neighbours[first[node] : first[node + 1]]:
                cosine = (mean * normals[other]).sum()
                if chart[other] < 0 and cosine >= min_cosine:
                    heapq.heappush(
                        heap,
                        (((centres[other] - middle) ** 2).sum() + bending * (2 - 2 * cosine), other, owner),
                    )
    return chart, cost


@njit(cache=True, nogil=True)
def _straighten_borders(chart, first, neighbours, length):
    """Polygons along a border move to a chart that more of their outline touches than their own."""
    for node in range(len(chart)):
        around = np.arange(first[node], first[node + 1])
        for candidate in chart[neighbours[around]]:
            gain = 0.0
            for i in around:
                if chart[neighbours[i]] == candidate:
                    gain += length[i]
                elif chart[neighbours[i]] == chart[node]:
                    gain -= length[i]
            if candidate != chart[node] and gain > 1e-9 * length[first[node]]:
                chart[node] = candidate
