"""One view per voxel: a Potts energy over the surface's voxels, minimised by graph cuts, coarse to fine
(Ink3D Eq. 8).

All views compete on a coarse grid only. On every finer grid a voxel chooses among the views found near it on
the coarser one, so that few voxels have a choice left and few views are asked about.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit

from ..mesh.voxels import Voxels
from .expansion import Candidates, Graph, cheapest, expand

COARSEST = 64
"""All views compete on the first grid of at most this resolution."""

INHERIT_STEPS = 2
"""A voxel may take the views found within this many steps of it on the coarser grid."""

REFINE_STEPS = (32, 8, 4)
"""Once solved, a grid is solved again with the views found within this many steps on itself: on the grid
after the coarsest, on the next, and on all later ones. Far views are asked where there are few voxels to ask
them."""

PARTS = 8
"""That the nodes of a grid are split into, for all cores."""

WORST = 255
"""Cost of the worst view that sees a voxel, and the best quality."""


def choose_views(
    voxels: Voxels, quality: np.ndarray, smoothness: float, weights: np.ndarray | None = None
) -> np.ndarray:
    """The view of every voxel: the least sum of ``1 - quality / 255`` over voxels and of ``smoothness *
    weight`` over borders.

    Args:
        voxels: the surface.
        quality: (N, T) uint8, how well a view sees a voxel; 0 means that it does not. Any layout in
            memory: ``np.empty((T, N)).T`` is the quickest to fill, view by view, and no slower here.
        smoothness: lambda, cost of a border between two views, per voxel side, where the best view costs 0
            and the worst 1.
        weights: (E,) float32 0 or more, factor on the cost of a border across each of ``voxels.edges``, see
            ``border_weights``; None: 1.

    Returns:
        (N,) int32 view, -1 where no view sees the voxel. A voxel never takes a view that does not see it.
    """
    labels = np.full(len(voxels), -1, np.int32)
    order = _morton_order(voxels.cells, quality)
    if len(order):
        border = np.float32(smoothness * WORST) * (
            np.ones(len(voxels.edges), np.float32) if weights is None else weights
        )
        levels = _levels(voxels, order, np.round(border).astype(np.int32))
        # Where a coarse voxel's view misses a fine one, that one pays at most its worst view and a border;
        # half of that serves best.
        miss = round((1 + smoothness) * WORST / 2)
        labels[order] = _coarse_to_fine(levels, quality, order, miss)
    return labels


def claim(quality: np.ndarray, views: np.ndarray, least: int) -> None:
    """Gives some views the first claim: voxels that one of them sees well may take only these. In place.

    The reference's first-frame lock is ``views`` of the first frame and ``least`` its quality at 60 degrees;
    its horizontal-first priority is the horizontal orbit's views and a ``least`` of 1.

    Args:
        quality: (N, T) uint8, see :func:`choose_views`.
        views: (K,) int indices.
        least: quality 1..255 that counts as well.
    """
    others = np.ones(quality.shape[1], bool)
    others[views] = False
    claimed = (quality[:, views] >= least).any(axis=1)
    for view in np.flatnonzero(others):
        quality[claimed, view] = 0


@dataclass(frozen=True)
class Level:
    """The seen voxels on one grid, as nodes in Morton order, so that a node's voxels lie in a row.

    Attributes:
        graph: nodes and the summed cost of the borders between them.
        first: (n + 1,) int64, where each node's voxels begin in the finest grid's order.
        parent: (n,) int64 node of the next coarser level; None at the coarsest.
    """

    graph: Graph
    first: np.ndarray
    parent: np.ndarray | None


def _morton_order(cells: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """(M,) int64 voxels that some view sees, in Morton order."""
    seen = np.flatnonzero(_seen(quality))
    return seen[np.argsort(_morton(cells[seen]), kind="stable")]


def _levels(voxels: Voxels, order: np.ndarray, border: np.ndarray) -> list[Level]:
    """The grids from the voxels' own to the coarsest, each half the one before."""
    rank = np.full(len(voxels), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    edges = rank[voxels.edges]
    inner = (edges >= 0).all(axis=1)
    graph = Graph.of(len(order), edges[inner], border[inner])
    keys, first, resolution = _morton(voxels.cells[order]), np.arange(len(order) + 1), voxels.resolution
    levels = []
    while resolution > COARSEST:
        keys = keys >> 3
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        parent = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(keys)))
        levels.append(Level(graph, first, parent))
        graph = Graph(
            *_merge(graph.first, graph.neighbor, graph.weight, parent, np.append(begins, len(keys)))
        )
        keys, first, resolution = keys[begins], np.append(first[begins], len(order)), resolution // 2
    return [*levels, Level(graph, first, None)]


def _coarse_to_fine(levels: list[Level], quality: np.ndarray, order: np.ndarray, miss: int) -> np.ndarray:
    """(M,) int16 view of every voxel of the finest level."""
    views = quality.shape[1]
    coarsest = levels[-1]
    everything = np.array([0, views]), np.arange(views, dtype=np.int16)
    nobody = np.full(1, -1, np.int16)
    labels = _solve(
        coarsest, everything, np.zeros(len(coarsest.graph), np.int64), nobody, quality, order, miss
    )
    for index in range(len(levels) - 2, -1, -1):
        coarser, level = levels[index + 1], levels[index]
        refine_steps = REFINE_STEPS[min(len(levels) - 2 - index, len(REFINE_STEPS) - 1)]
        near = _near(labels, coarser.graph, INHERIT_STEPS, views)
        labels = _solve(level, near, level.parent, labels, quality, order, miss)
        itself = np.arange(len(level.graph))
        labels = _solve(
            level, _near(labels, level.graph, refine_steps, views), itself, labels, quality, order, miss
        )
    return labels


def _solve(level: Level, sets, chooser, before, quality, order, miss: int) -> np.ndarray:
    """(n,) int16 view of every node, out of the set of views, and starting from the label, that ``chooser``
    (n,) points it to."""
    candidates = Candidates(
        *_in_parts(partial(_candidates, *sets, chooser, quality, order, level.first, miss), len(chooser))
    )
    labels = _start(candidates.first, candidates.label, cheapest(candidates), before[chooser])
    graph = level.graph
    free, *rest = _free(
        candidates.first, candidates.label, candidates.cost, graph.first, graph.neighbor, graph.weight, labels
    )
    labels[free] = expand(Graph(*rest[3:]), Candidates(*rest[:3]), labels[free])
    return labels


def _near(labels: np.ndarray, graph: Graph, steps: int, views: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels found within so many steps of each node: where its set begins (n + 1,), and the sets."""
    first = np.arange(len(labels) + 1)
    for _ in range(steps):
        first, labels = _in_parts(
            partial(_spread, first, labels, graph.first, graph.neighbor, views), len(graph)
        )
    return first, labels


def _in_parts(work: Callable[[int, int], tuple[np.ndarray, ...]], count: int) -> list[np.ndarray]:
    """What ``work`` gives for ``count`` nodes, done by all cores: where each node's entries begin (count +
    1,), and the entries.

    Args:
        work: gives for the nodes from one to another how many entries each has, and the entries.
    """
    stops = np.linspace(0, count, PARTS + 1).astype(int)
    with ThreadPoolExecutor() as pool:
        sizes, *entries = map(np.concatenate, zip(*pool.map(work, stops[:-1], stops[1:]), strict=True))
    return [np.concatenate([[0], np.cumsum(sizes)]), *entries]


@njit(cache=True, nogil=True)
def _seen(quality):
    result = np.zeros(quality.shape[0], np.bool_)
    for n in range(quality.shape[0]):
        for view in range(quality.shape[1]):
            if quality[n, view] > 0:
                result[n] = True
                break
    return result


@njit(cache=True, nogil=True)
def _morton(cells):
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
def _merge(first, neighbor, weight, parent, children):
    """The graph of the parents, ``children`` (n + 1,) being where each one's nodes begin; a cell's sides give
    it six neighbours at most."""
    count = children.size - 1
    merged_first = np.zeros(count + 1, np.int64)
    merged, summed = np.empty(6 * count, np.int32), np.empty(6 * count, np.int32)
    end = 0
    for p in range(count):
        begin = end
        for k in range(first[children[p]], first[children[p + 1]]):
            other = parent[neighbor[k]]
            if other == p:
                continue
            at = begin
            while at < end and merged[at] != other:
                at += 1
            if at == end:
                merged[end], summed[end] = other, 0
                end += 1
            summed[at] += weight[k]
        merged_first[p + 1] = end
    return merged_first, merged[:end].copy(), summed[:end].copy()


@njit(cache=True, nogil=True)
def _spread(first, labels, graph_first, neighbor, views, start, stop):
    """Of the nodes from ``start``: each one's set, and those of its neighbours."""
    total = first[stop] - first[start]
    for n in range(start, stop):
        for k in range(graph_first[n], graph_first[n + 1]):
            total += first[neighbor[k] + 1] - first[neighbor[k]]
    sizes, result = np.empty(stop - start, np.int64), np.empty(total, np.int16)
    owner = np.full(views, -1, np.int64)
    end = 0
    for n in range(start, stop):
        begin = end
        for k in range(graph_first[n] - 1, graph_first[n + 1]):
            m = n if k < graph_first[n] else neighbor[k]
            for at in range(first[m], first[m + 1]):
                if owner[labels[at]] != n:
                    owner[labels[at]] = n
                    result[end] = labels[at]
                    end += 1
        sizes[n - start] = end - begin
    return sizes, result[:end].copy()


@njit(cache=True, nogil=True)
def _candidates(set_first, sets, chooser, quality, order, first, miss, start, stop):
    """Of the nodes from ``start``: the views of each one's set that see one of its voxels; if there are none,
    all views that do. Costs are summed over its voxels."""
    views = quality.shape[1]
    every = np.arange(views).astype(np.int16)
    room = 0
    for n in range(start, stop):
        room += set_first[chooser[n] + 1] - set_first[chooser[n]]
    sizes = np.empty(stop - start, np.int64)
    label, cost = np.empty(room, np.int16), np.empty(room, np.int32)
    end = 0
    for n in range(start, stop):
        begin = end
        own = sets[set_first[chooser[n]] : set_first[chooser[n] + 1]]
        for _ in range(2):
            if end + own.size > label.size:
                label = np.append(label, np.empty(label.size // 2 + views, np.int16))
                cost = np.append(cost, np.empty(cost.size // 2 + views, np.int32))
            for view in own:
                total, sees = 0, False
                for k in range(first[n], first[n + 1]):
                    q = quality[order[k], view]
                    sees |= q > 0
                    total += WORST - q if q > 0 else miss
                if sees:
                    label[end], cost[end] = view, total
                    end += 1
            if end > begin:
                break
            own = every
        sizes[n - start] = end - begin
    return sizes, label[:end].copy(), cost[:end].copy()


@njit(cache=True, nogil=True)
def _start(first, label, otherwise, wanted):
    """(n,) int16: the wanted label where it is a candidate."""
    result = otherwise.copy()
    for n in range(result.size):
        for k in range(first[n], first[n + 1]):
            if label[k] == wanted[n]:
                result[n] = wanted[n]
    return result


@njit(cache=True, nogil=True)
def _free(first, label, cost, graph_first, neighbor, weight, labels):
    """The nodes with a choice as a problem of their own, to whose costs the borders to nodes without one are
    added."""
    place = np.full(labels.size, -1, np.int32)
    count = size = arcs = 0
    for n in range(labels.size):
        if first[n + 1] - first[n] > 1:
            place[n] = count
            count += 1
            size += first[n + 1] - first[n]
            arcs += graph_first[n + 1] - graph_first[n]
    nodes = np.empty(count, np.int64)
    own_first, own_label, own_cost = (
        np.zeros(count + 1, np.int64),
        np.empty(size, np.int16),
        np.empty(size, np.int32),
    )
    own_graph_first, own_neighbor, own_weight = (
        np.zeros(count + 1, np.int64),
        np.empty(arcs, np.int32),
        np.empty(arcs, np.int32),
    )
    size = arcs = 0
    for n in range(labels.size):
        i = place[n]
        if i < 0:
            continue
        nodes[i] = n
        begin = size
        for k in range(first[n], first[n + 1]):
            own_label[size], own_cost[size] = label[k], cost[k]
            size += 1
        for k in range(graph_first[n], graph_first[n + 1]):
            m = neighbor[k]
            if place[m] >= 0:
                own_neighbor[arcs], own_weight[arcs] = place[m], weight[k]
                arcs += 1
            else:
                for at in range(begin, size):
                    if own_label[at] != labels[m]:
                        own_cost[at] += weight[k]
        own_first[i + 1], own_graph_first[i + 1] = size, arcs
    return (
        nodes,
        own_first,
        own_label,
        own_cost,
        own_graph_first,
        own_neighbor[:arcs].copy(),
        own_weight[:arcs].copy(),
    )
