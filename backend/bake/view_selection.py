"""One view per voxel: a Potts energy over the surface's voxels, minimised by graph cuts, coarse to fine
(Ink3D Eq. 8).

All views compete on a coarse grid only. On every finer grid a voxel chooses among the views found near it on
the coarser one, so that few voxels have a choice left and few views compete there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from ..mesh.voxels import Voxels
from ..parallel import map_parallel
from .alpha_expansion import Candidates, Graph, build_graph, cheapest_labels, expand_labels

MAX_QUALITY = 255
"""The best quality; the data cost of a view is what it lacks of it."""

NODE_CHUNKS = 8
"""Ranges that the nodes of a grid are split into, for all cores."""


@dataclass(frozen=True)
class ViewSelectionConfig:
    """How views are selected coarse to fine."""

    coarsest: int = 64
    """All views compete on the first grid of at most this resolution."""

    inherit_steps: int = 2
    """A voxel may take the views found within this many steps of it on the coarser grid."""

    refine_steps: tuple[int, ...] = (32, 8, 4)
    """Once solved, a grid is solved again with the views found within this many steps on itself: on the grid
    after the coarsest, on the next, and on all later ones. Far views compete where there are few voxels."""


def select_views(
    voxels: Voxels,
    quality: np.ndarray,
    smoothness: float,
    weights: np.ndarray | None = None,
    config: ViewSelectionConfig = ViewSelectionConfig(),
) -> np.ndarray:
    """The view of every voxel: the least sum of ``1 - quality / 255`` over voxels (data term) and of
    ``smoothness * weight`` over borders (smoothness term).

    Args:
        voxels: the surface.
        quality: (N, T) uint8, how well a view sees a voxel; 0 means that it does not. Any layout in
            memory: ``np.empty((T, N)).T`` is the quickest to fill, view by view, and no slower here.
        smoothness: lambda, cost of a border between two views, per face between two voxels, where the best
            view costs 0 and the worst 1.
        weights: (E,) float32 0 or more, factor on the cost of a border across each of ``voxels.edges``, see
            ``contrast_weights``; None: 1.
        config: grids and steps.

    Returns:
        (N,) int32 view, -1 where no view sees the voxel. A voxel never takes a view that does not see it.
    """
    labels = np.full(len(voxels), -1, np.int32)
    order = _morton_order(voxels.cells, quality)
    if len(order):
        border = np.float32(smoothness * MAX_QUALITY) * (
            np.ones(len(voxels.edges), np.float32) if weights is None else weights
        )
        grids = _build_grids(voxels, order, np.round(border).astype(np.int32), config.coarsest)
        # Where a coarse voxel's view misses a fine one, that one pays at most its worst view and a border;
        # half of that serves best.
        miss = round((1 + smoothness) * MAX_QUALITY / 2)
        labels[order] = _solve_coarse_to_fine(grids, Observed(quality, order, miss), config)
    return labels


@dataclass(frozen=True)
class LabelGrid:
    """The seen voxels on one grid, as nodes in Morton order, so that a node's voxels lie in a row.

    Attributes:
        graph: nodes and the summed cost of the borders between them.
        first: (n + 1,) int64, where each node's voxels begin in the finest grid's order.
        parent: (n,) int64 node of the next coarser grid; None at the coarsest.
    """

    graph: Graph
    first: np.ndarray
    parent: np.ndarray | None


class LabelSets(NamedTuple):
    """A set of views per node: where each begins (n + 1,) int64, and the views (S,) int16."""

    first: np.ndarray
    label: np.ndarray


class Observed(NamedTuple):
    """What the views see: ``quality`` (N, T) uint8 of the voxels, the ``order`` (M,) of those that are seen,
    and the cost of a view that ``miss``-es a voxel of a node."""

    quality: np.ndarray
    order: np.ndarray
    miss: int


def _morton_order(cells: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """(M,) int64 voxels that some view sees, in Morton order."""
    seen = np.flatnonzero(_mark_seen(quality))
    return seen[np.argsort(_morton_codes(cells[seen]), kind="stable")]


def _build_grids(voxels: Voxels, order: np.ndarray, border: np.ndarray, coarsest: int) -> list[LabelGrid]:
    """The grids from the voxels' own to the coarsest, each half the one before."""
    rank = np.full(len(voxels), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    edges = rank[voxels.edges]
    inner = (edges >= 0).all(axis=1)
    graph = build_graph(len(order), edges[inner], border[inner])
    keys, first, resolution = _morton_codes(voxels.cells[order]), np.arange(len(order) + 1), voxels.resolution
    grids = []
    while resolution > coarsest:
        # The eight children of a coarser cell share their code but for its last three bits.
        keys = keys >> 3
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        parent = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(keys)))
        grids.append(LabelGrid(graph, first, parent))
        graph = _coarsen_graph(graph, parent, np.append(begins, len(keys)))
        keys, first, resolution = keys[begins], np.append(first[begins], len(order)), resolution // 2
    return [*grids, LabelGrid(graph, first, None)]


def _solve_coarse_to_fine(
    grids: list[LabelGrid], observed: Observed, config: ViewSelectionConfig
) -> np.ndarray:
    """(M,) int16 view of every voxel of the finest grid."""
    views = observed.quality.shape[1]
    # On the coarsest grid every node chooses among all views, and starts from none.
    coarsest = grids[-1]
    all_views = LabelSets(np.array([0, views]), np.arange(views, dtype=np.int16))
    no_view = np.full(1, -1, np.int16)
    labels = _solve(coarsest, all_views, np.zeros(coarsest.graph.nodes, np.int64), no_view, observed)
    for index in range(len(grids) - 2, -1, -1):
        coarser, grid = grids[index + 1], grids[index]
        refine_steps = config.refine_steps[min(len(grids) - 2 - index, len(config.refine_steps) - 1)]
        # Among the views near the parent, then among those found near the node itself.
        near = _dilate_label_sets(labels, coarser.graph, config.inherit_steps, views)
        labels = _solve(grid, near, grid.parent, labels, observed)
        near = _dilate_label_sets(labels, grid.graph, refine_steps, views)
        labels = _solve(grid, near, np.arange(grid.graph.nodes), labels, observed)
    return labels


def _solve(
    grid: LabelGrid, sets: LabelSets, chooser: np.ndarray, before: np.ndarray, observed: Observed
) -> np.ndarray:
    """(n,) int16 view of every node: out of the set of views, and starting from the label in ``before``, that
    ``chooser`` (n,) points it to."""
    work = partial(_data_costs, sets, chooser, observed, grid.first)
    candidates = Candidates(*_map_ragged(work, len(chooser)))
    labels = _initial_labels(candidates, cheapest_labels(candidates), before[chooser])
    # Only nodes with a choice take part in the expansion.
    free, own_candidates, own_graph = _reduce_to_undecided(candidates, grid.graph, labels)
    labels[free] = expand_labels(own_graph, own_candidates, labels[free])
    return labels


def _dilate_label_sets(labels: np.ndarray, graph: Graph, steps: int, views: int) -> LabelSets:
    """The labels found within a number of steps of each node."""
    sets = LabelSets(np.arange(len(labels) + 1), labels)
    for _ in range(steps):
        sets = LabelSets(*_map_ragged(partial(_merge_neighbour_sets, sets, graph, views), graph.nodes))
    return sets


def _map_ragged(work: Callable[[int, int], tuple[np.ndarray, ...]], count: int) -> list[np.ndarray]:
    """What ``work`` returns for ``count`` nodes, computed on all cores: where each node's entries begin
    (count + 1,), and the entries.

    Args:
        work: returns for a range of nodes how many entries each has, and the entries.
    """
    stops = np.linspace(0, count, NODE_CHUNKS + 1).astype(int)
    chunks = map_parallel(work, stops[:-1], stops[1:])
    sizes, *entries = map(np.concatenate, zip(*chunks, strict=True))
    return [np.concatenate([[0], np.cumsum(sizes)]), *entries]


@njit(cache=True, nogil=True)
def _mark_seen(quality):
    """(N,) bool: the voxels that some view sees."""
    result = np.zeros(quality.shape[0], np.bool_)
    for n in range(quality.shape[0]):
        for view in range(quality.shape[1]):
            if quality[n, view] > 0:
                result[n] = True
                break
    return result


@njit(cache=True, nogil=True)
def _morton_codes(cells):
    """(N,) int64: the bits of the three cell indices interleaved."""
    result = np.empty(cells.shape[0], np.int64)
    for n in range(cells.shape[0]):
        key = np.int64(0)
        for bit in range(20, -1, -1):
            for axis in range(3):
                key = (key << 1) | ((cells[n, axis] >> bit) & 1)
        result[n] = key
    return result


@njit(cache=True, nogil=True)
def _coarsen_graph(graph, parent, children):
    """The graph of the parents, ``children`` (n + 1,) being where each one's nodes begin; a cell's faces give
    it six neighbours at most."""
    count = children.size - 1
    coarse_first = np.zeros(count + 1, np.int64)
    coarse_neighbor, coarse_weight = np.empty(6 * count, np.int32), np.empty(6 * count, np.int32)
    end = 0
    for p in range(count):
        begin = end
        for k in range(graph.first[children[p]], graph.first[children[p + 1]]):
            other = parent[graph.neighbor[k]]
            if other == p:
                continue
            # The entry of this pair of parents, a new one if it has none yet.
            at = begin
            while at < end and coarse_neighbor[at] != other:
                at += 1
            if at == end:
                coarse_neighbor[end], coarse_weight[end] = other, 0
                end += 1
            coarse_weight[at] += graph.weight[k]
        coarse_first[p + 1] = end
    return Graph(coarse_first, coarse_neighbor[:end].copy(), coarse_weight[:end].copy())


@njit(cache=True, nogil=True)
def _merge_neighbour_sets(sets, graph, views, start, stop):
    """For the nodes from ``start`` to before ``stop``: the size of the union of each one's set with those of
    its neighbours, and the unions."""
    # Room for all of them, as if no view were in two sets.
    total = sets.first[stop] - sets.first[start]
    for n in range(start, stop):
        for k in range(graph.first[n], graph.first[n + 1]):
            total += sets.first[graph.neighbor[k] + 1] - sets.first[graph.neighbor[k]]
    sizes, result = np.empty(stop - start, np.int64), np.empty(total, np.int16)
    # The last node that took each view.
    owner = np.full(views, -1, np.int64)
    end = 0
    for n in range(start, stop):
        begin = end
        for k in range(graph.first[n] - 1, graph.first[n + 1]):
            # Its own set first, then its neighbours'.
            m = n if k < graph.first[n] else graph.neighbor[k]
            for at in range(sets.first[m], sets.first[m + 1]):
                if owner[sets.label[at]] != n:
                    owner[sets.label[at]] = n
                    result[end] = sets.label[at]
                    end += 1
        sizes[n - start] = end - begin
    return sizes, result[:end].copy()


@njit(cache=True, nogil=True)
def _data_costs(sets, chooser, observed, first, start, stop):
    """For the nodes from ``start`` to before ``stop``: the number of candidates of each, and their labels and
    costs.

    Candidates are the views of the node's set that see one of its voxels; if there are none, all views that
    do. Costs are summed over its voxels.
    """
    quality, order = observed.quality, observed.order
    views = quality.shape[1]
    every = np.arange(views).astype(np.int16)
    room = 0
    for n in range(start, stop):
        room += sets.first[chooser[n] + 1] - sets.first[chooser[n]]
    sizes = np.empty(stop - start, np.int64)
    label, cost = np.empty(room, np.int16), np.empty(room, np.int32)
    end = 0
    for n in range(start, stop):
        begin = end
        own = sets.label[sets.first[chooser[n]] : sets.first[chooser[n] + 1]]
        # Its set first, then all views if none of the set sees it.
        for _ in range(2):
            if end + own.size > label.size:
                label = np.append(label, np.empty(label.size // 2 + views, np.int16))
                cost = np.append(cost, np.empty(cost.size // 2 + views, np.int32))
            for view in own:
                total, sees = 0, False
                for k in range(first[n], first[n + 1]):
                    q = quality[order[k], view]
                    sees |= q > 0
                    total += MAX_QUALITY - q if q > 0 else observed.miss
                if sees:
                    label[end], cost[end] = view, total
                    end += 1
            if end > begin:
                break
            own = every
        sizes[n - start] = end - begin
    return sizes, label[:end].copy(), cost[:end].copy()


@njit(cache=True, nogil=True)
def _initial_labels(candidates, otherwise, wanted):
    """(n,) int16: the wanted label where it is a candidate, else the other."""
    result = otherwise.copy()
    for n in range(result.size):
        for k in range(candidates.first[n], candidates.first[n + 1]):
            if candidates.label[k] == wanted[n]:
                result[n] = wanted[n]
    return result


@njit(cache=True, nogil=True)
def _reduce_to_undecided(candidates, graph, labels):
    """The nodes with a choice as a problem of their own.

    Returns:
        The nodes (K,), their :class:`Candidates`, to whose costs the borders to nodes without a choice are
        added, and the :class:`Graph` between them.
    """
    first, graph_first = candidates.first, graph.first
    # New numbers, and room for everything.
    place = np.full(labels.size, -1, np.int32)
    count = size = arcs = 0
    for n in range(labels.size):
        if first[n + 1] - first[n] > 1:
            place[n] = count
            count += 1
            size += first[n + 1] - first[n]
            arcs += graph_first[n + 1] - graph_first[n]
    nodes = np.empty(count, np.int64)
    own_first, own_graph_first = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    own_label, own_cost = np.empty(size, np.int16), np.empty(size, np.int32)
    own_neighbor, own_weight = np.empty(arcs, np.int32), np.empty(arcs, np.int32)
    size = arcs = 0
    for n in range(labels.size):
        i = place[n]
        if i < 0:
            continue
        nodes[i] = n
        begin = size
        for k in range(first[n], first[n + 1]):
            own_label[size], own_cost[size] = candidates.label[k], candidates.cost[k]
            size += 1
        for k in range(graph_first[n], graph_first[n + 1]):
            m = graph.neighbor[k]
            if place[m] >= 0:
                own_neighbor[arcs], own_weight[arcs] = place[m], graph.weight[k]
                arcs += 1
            else:
                # The neighbour's label stands: every other label pays the border to it.
                for at in range(begin, size):
                    if own_label[at] != labels[m]:
                        own_cost[at] += graph.weight[k]
        own_first[i + 1], own_graph_first[i + 1] = size, arcs
    own_graph = Graph(own_graph_first, own_neighbor[:arcs].copy(), own_weight[:arcs].copy())
    return nodes, Candidates(own_first, own_label, own_cost), own_graph
