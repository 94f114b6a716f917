"""One view per voxel: a Potts energy over the surface's voxels, minimised by graph cuts (Ink3D Eq. 8).

Alpha-expansion after Boykov, Veksler and Zabih 2001, coarse to fine: the coarse solution limits which labels a voxel may take.
"""

from dataclasses import dataclass

import maxflow
import numpy as np
from scipy.sparse import coo_matrix

from ..mesh.voxels import Voxels, keys_of

COARSEST = 64
"""Resolution at which all labels compete."""

CYCLES = 3
"""Expansion cycles per level at most; the energy has settled by then."""


@dataclass(frozen=True)
class Energy:
    """Sum over nodes of ``cost[node, label]`` plus over edges of ``weight`` where the labels differ.

    Attributes:
        cost: (N, L) float32, infinite where a label is impossible.
        edges: (E, 2) int32.
        weights: (E,) float32.
    """

    cost: np.ndarray
    edges: np.ndarray
    weights: np.ndarray

    def of(self, labels: np.ndarray) -> float:
        """The energy of a labelling (N,)."""
        data = self.cost[np.arange(len(labels)), labels].sum(dtype=np.float64)
        return float(data + self.weights[labels[self.edges[:, 0]] != labels[self.edges[:, 1]]].sum(dtype=np.float64))


def choose_views(voxels: Voxels, quality: np.ndarray, smoothness: float) -> np.ndarray:
    """The view of every voxel.

    Args:
        voxels: the surface.
        quality: (N, T) float32 in 0..1, how well a view sees a voxel; 0 means it does not.
        smoothness: cost of a border between two labels, per voxel side.

    Returns:
        (N,) int32 view, -1 where no view sees the voxel. A voxel never takes a view that does not see it.
    """
    seen = quality.max(axis=1) > 0
    index = np.cumsum(seen) - 1
    edges = voxels.edges[seen[voxels.edges].all(axis=1)]
    cost = np.where(quality[seen] > 0, 1 - quality[seen], np.inf).astype(np.float32)
    energy = Energy(cost, index[edges].astype(np.int32), np.full(len(edges), smoothness, np.float32))
    labels = np.full(len(voxels), -1, np.int32)
    if seen.any():
        labels[seen] = _coarse_to_fine(energy, voxels.cells[seen], voxels.resolution)
    return labels


def _coarse_to_fine(energy: Energy, cells: np.ndarray, resolution: int) -> np.ndarray:
    candidates = np.isfinite(energy.cost)
    if resolution > COARSEST:
        coarse, group, coarse_cells = _coarsen(energy, cells, resolution)
        nearby = _one_hot(_coarse_to_fine(coarse, coarse_cells, resolution // 2), energy.cost.shape[1])
        for _ in range(2):
            nearby = _spread(nearby, coarse.edges)
        limited = candidates & nearby[group]
        candidates = np.where(limited.any(axis=1, keepdims=True), limited, candidates)
    labels = np.where(candidates, energy.cost, np.inf).argmin(axis=1)
    return minimise(energy, candidates, labels)


def _coarsen(energy: Energy, cells: np.ndarray, resolution: int):
    """The same energy with every 2x2x2 block one node; impossible labels of a member cost it more than any possible one."""
    keys = keys_of(cells // 2, resolution // 2)
    unique, first, group = np.unique(keys, return_index=True, return_inverse=True)
    possible = np.isfinite(energy.cost)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(unique)))
    cost = np.add.reduceat(np.where(possible, energy.cost, np.float32(4.0))[order], starts, axis=0)
    any_possible = np.logical_or.reduceat(possible[order], starts, axis=0)
    edges = np.sort(group[energy.edges], axis=1)
    outer = edges[:, 0] != edges[:, 1]
    pairs, inverse = np.unique(edges[outer, 0].astype(np.int64) * len(unique) + edges[outer, 1], return_inverse=True)
    weights = np.bincount(inverse, energy.weights[outer], len(pairs)).astype(np.float32)
    pairs = np.stack([pairs // len(unique), pairs % len(unique)], axis=1).astype(np.int32)
    return Energy(np.where(any_possible, cost, np.inf).astype(np.float32), pairs, weights), group, cells[first] // 2


def _one_hot(labels: np.ndarray, count: int) -> np.ndarray:
    result = np.zeros((len(labels), count), bool)
    result[np.arange(len(labels)), labels] = True
    return result


def _spread(flags: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Every node also gets its neighbours' flags."""
    links = coo_matrix((np.ones(len(edges), np.float32), edges.T), shape=(len(flags), len(flags))).tocsr()
    return flags | (links @ flags.astype(np.float32) > 0) | (links.T @ flags.astype(np.float32) > 0)


def minimise(energy: Energy, candidates: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Alpha-expansion from ``labels`` (N,) over ``candidates`` (N, L) bool until nothing improves."""
    labels = labels.astype(np.int32)
    free = candidates.sum(axis=1) > 1
    for _ in range(CYCLES):
        changed = False
        for alpha in np.flatnonzero(candidates.any(axis=0)):
            changed |= _expand(energy, candidates[:, alpha] & free & (labels != alpha), labels, alpha)
        if not changed:
            break
    return labels


def _expand(energy: Energy, active: np.ndarray, labels: np.ndarray, alpha: int) -> bool:
    """Lets every active node keep its label or take ``alpha``, optimally, in place. True if the energy fell."""
    nodes = np.flatnonzero(active)
    if len(nodes) == 0:
        return False
    index = np.full(len(active), -1, np.int64)
    index[nodes] = np.arange(len(nodes))
    touched = active[energy.edges].any(axis=1)
    edges, weights = energy.edges[touched], energy.weights[touched].astype(np.float64)
    a, b = edges[:, 0], edges[:, 1]
    keep = energy.cost[nodes, labels[nodes]].astype(np.float64)
    switch = energy.cost[nodes, alpha].astype(np.float64)

    both = active[a] & active[b]
    for inner, outer in ((a, b), (b, a)):
        one = active[inner] & ~active[outer]
        place = index[inner[one]]
        keep += np.bincount(place, weights[one] * (labels[inner[one]] != labels[outer[one]]), len(nodes))
        switch += np.bincount(place, weights[one] * (labels[outer[one]] != alpha), len(nodes))
    i, j, w = index[a[both]], index[b[both]], weights[both]
    differ = w * (labels[a[both]] != labels[b[both]])
    # Kolmogorov and Zabih 2004, with E(keep, keep) = differ, E(keep, switch) = E(switch, keep) = w, E(switch, switch) = 0.
    switch += np.bincount(i, w - differ, len(nodes)) - np.bincount(j, w, len(nodes))
    base = np.minimum(keep, switch)

    graph = maxflow.GraphFloat(len(nodes), len(i))
    ids = graph.add_grid_nodes(len(nodes))
    graph.add_grid_tedges(ids, switch - base, keep - base)
    if len(i):
        graph.add_edges(i, j, 2 * w - differ, np.zeros(len(w)))
    gain = keep.sum() + differ.sum() - base.sum() - graph.maxflow()
    if gain < 1e-4:
        return False
    labels[nodes[graph.get_grid_segments(ids)]] = alpha
    return True
