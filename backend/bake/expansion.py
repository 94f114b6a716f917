"""Alpha-expansion on a Potts energy whose nodes each have their own few labels (Boykov, Veksler and Zabih
2001).

All costs are whole numbers, so that a move either lowers the energy or does not.
"""

from dataclasses import dataclass

import maxflow
import numpy as np
from numba import njit

NEVER = -1
"""When a label was last tried, before it was."""


@dataclass(frozen=True)
class Graph:
    """Which nodes are neighbours; every pair is listed at both of its ends.

    Attributes:
        first: (N + 1,) int64, where each node's neighbours begin.
        neighbor: (A,) int32.
        weight: (A,) int32 cost of two labels that differ, 0 or more.
    """

    first: np.ndarray
    neighbor: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.first) - 1

    @staticmethod
    def of(count: int, edges: np.ndarray, weights: np.ndarray) -> "Graph":
        """The graph of ``count`` nodes with edges (E, 2) int32 and weights (E,) int32."""
        return Graph(*_adjacency(count, edges, weights))


@dataclass(frozen=True)
class Candidates:
    """The labels that each node may take.

    Attributes:
        first: (N + 1,) int64, where each node's candidates begin; every node has one or more.
        label: (C,) int16, no label twice for a node.
        cost: (C,) int32 of taking it.
    """

    first: np.ndarray
    label: np.ndarray
    cost: np.ndarray


def energy(graph: Graph, candidates: Candidates, labels: np.ndarray) -> int:
    """The cost of labels (N,) int16: each node's own, and the weights between nodes that differ."""
    cost = _costs(candidates.first, candidates.label, candidates.cost, labels)
    return int(_energy(graph.first, graph.neighbor, graph.weight, cost, labels))


def cheapest(candidates: Candidates) -> np.ndarray:
    """(N,) int16: the label of each node that costs least by itself."""
    return _cheapest(candidates.first, candidates.label, candidates.cost)


def expand(graph: Graph, candidates: Candidates, labels: np.ndarray) -> np.ndarray:
    """Alpha-expansion until no label can gain a node.

    Args:
        graph: N nodes.
        candidates: their labels.
        labels: (N,) int16 to start from, each one of its node's candidates.

    Returns:
        (N,) int16 labels.
    """
    labels = labels.astype(np.int16)
    if not len(labels):
        return labels
    first, holder, place = _holders(candidates.first, candidates.label)
    cost = _costs(candidates.first, candidates.label, candidates.cost, labels)
    changed = np.zeros(len(graph), np.int64)
    tried = np.full(len(first) - 1, NEVER, np.int64)
    index = np.full(len(graph), -1, np.int32)
    now, better = 0, True
    while better:
        better = False
        for alpha in range(len(first) - 1):
            own = slice(first[alpha], first[alpha + 1])
            nodes, places = _stirred(
                alpha,
                holder[own],
                place[own],
                labels,
                graph.first,
                graph.neighbor,
                changed,
                tried[alpha],
                index,
            )
            now += 1
            tried[alpha] = now
            if (
                len(nodes)
                and (takes := _cut(alpha, nodes, places, graph, candidates.cost, labels, cost, index))
                is not None
            ):
                _take(
                    alpha,
                    nodes[takes],
                    places[takes],
                    candidates.cost,
                    labels,
                    cost,
                    graph.first,
                    graph.neighbor,
                    changed,
                    now,
                )
                better = True
    return labels


def _cut(alpha, nodes, places, graph, costs, labels, cost, index):
    """(K,) bool: which of the nodes take ``alpha``, all of them decided together at the least cost; None if
    none should."""
    keep, switch, ends, capacity = _terms(
        alpha, nodes, places, graph.first, graph.neighbor, graph.weight, costs, labels, cost, index
    )
    before = keep.sum()
    if before == 0:
        return None
    network = maxflow.GraphInt(len(nodes), len(capacity))
    ids = network.add_grid_nodes(len(nodes))
    network.add_grid_tedges(ids, switch, keep)
    if len(capacity):
        network.add_edges(ends[0], ends[1], capacity, np.zeros_like(capacity))
    return network.get_grid_segments(ids) if network.maxflow() < before else None


@njit(cache=True, nogil=True)
def _adjacency(count, edges, weights):
    first = np.zeros(count + 1, np.int64)
    for e in range(len(edges)):
        first[edges[e, 0] + 1] += 1
        first[edges[e, 1] + 1] += 1
    first = np.cumsum(first)
    at = first[:-1].copy()
    neighbor, weight = np.empty(2 * len(edges), np.int32), np.empty(2 * len(edges), np.int32)
    for e in range(len(edges)):
        for end in range(2):
            n = edges[e, end]
            neighbor[at[n]] = edges[e, 1 - end]
            weight[at[n]] = weights[e]
            at[n] += 1
    return first, neighbor, weight


@njit(cache=True, nogil=True)
def _energy(first, neighbor, weight, cost, labels):
    total = np.int64(0)
    for n in range(labels.size):
        total += cost[n]
        for k in range(first[n], first[n + 1]):
            if neighbor[k] > n and labels[neighbor[k]] != labels[n]:
                total += weight[k]
    return total


@njit(cache=True, nogil=True)
def _costs(first, label, cost, labels):
    result = np.empty(labels.size, np.int32)
    for n in range(labels.size):
        for k in range(first[n], first[n + 1]):
            if label[k] == labels[n]:
                result[n] = cost[k]
    return result


@njit(cache=True, nogil=True)
def _cheapest(first, label, cost):
    result = np.empty(first.size - 1, np.int16)
    for n in range(result.size):
        best = first[n]
        for k in range(first[n], first[n + 1]):
            if cost[k] < cost[best]:
                best = k
        result[n] = label[best]
    return result


@njit(cache=True, nogil=True)
def _holders(first, label):
    """The candidates by label instead of by node: where each label begins, the nodes, and their places among
    the candidates."""
    start = np.zeros(label.max() + 2, np.int64)
    for k in range(label.size):
        start[label[k] + 1] += 1
    start = np.cumsum(start)
    at = start[:-1].copy()
    holder, place = np.empty(label.size, np.int32), np.empty(label.size, np.int64)
    for n in range(first.size - 1):
        for k in range(first[n], first[n + 1]):
            holder[at[label[k]]] = n
            place[at[label[k]]] = k
            at[label[k]] += 1
    return start, holder, place


@njit(cache=True, nogil=True)
def _stirred(alpha, holder, place, labels, first, neighbor, changed, tried, index):
    """The nodes that could switch to ``alpha``, less the connected groups in and around which nothing changed
    since it was tried.

    Leaves in ``index`` each node's place in the answer, -1 elsewhere.
    """
    nodes, places = np.empty(holder.size, np.int32), np.empty(holder.size, np.int64)
    waiting = -2
    for k in range(holder.size):
        if labels[holder[k]] != alpha:
            index[holder[k]] = waiting - k
    count = 0
    for k in range(holder.size):
        if index[holder[k]] >= -1:
            continue
        begin, head, stirred = count, count, False
        nodes[count], places[count], index[holder[k]] = holder[k], place[k], count
        count += 1
        while head < count:
            n = nodes[head]
            head += 1
            stirred |= changed[n] > tried
            for j in range(first[n], first[n + 1]):
                m = neighbor[j]
                if index[m] < -1:
                    nodes[count], places[count], index[m] = m, place[waiting - index[m]], count
                    count += 1
        if not stirred:
            for i in range(begin, count):
                index[nodes[i]] = -1
            count = begin
    return nodes[:count], places[:count]


@njit(cache=True, nogil=True)
def _terms(alpha, nodes, places, first, neighbor, weight, costs, labels, cost, index):
    """The move as a cut: what each node pays to keep its label or to switch, and what a pair pays if the
    first keeps and the second switches (Kolmogorov and Zabih 2004, section 4.1). Clears ``index``."""
    keep, switch = np.empty(nodes.size, np.int64), np.empty(nodes.size, np.int64)
    arcs = 0
    for i in range(nodes.size):
        keep[i], switch[i] = cost[nodes[i]], costs[places[i]]
        arcs += first[nodes[i] + 1] - first[nodes[i]]
    ends, capacity = np.empty((2, arcs), np.int64), np.empty(arcs, np.int64)
    arcs = 0
    for i in range(nodes.size):
        n = nodes[i]
        for k in range(first[n], first[n + 1]):
            m, w = neighbor[k], weight[k]
            differ = w if labels[m] != labels[n] else 0
            if index[m] < 0:
                keep[i] += differ
                switch[i] += w if labels[m] != alpha else 0
            elif m > n:
                switch[i] += w - differ
                switch[index[m]] -= w
                ends[0, arcs], ends[1, arcs], capacity[arcs] = i, index[m], 2 * w - differ
                arcs += 1
    for i in range(nodes.size):
        index[nodes[i]] = -1
        least = min(keep[i], switch[i])
        keep[i] -= least
        switch[i] -= least
    return keep, switch, ends[:, :arcs], capacity[:arcs]


@njit(cache=True, nogil=True)
def _take(alpha, nodes, places, costs, labels, cost, first, neighbor, changed, now):
    for i in range(nodes.size):
        n = nodes[i]
        labels[n], cost[n], changed[n] = alpha, costs[places[i]], now
        for k in range(first[n], first[n + 1]):
            changed[neighbor[k]] = now
