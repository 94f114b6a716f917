"""Alpha-expansion on a Potts energy whose nodes each have their own few labels (Boykov, Veksler and Zabih
2001).

All costs are whole numbers, so that a move either lowers the energy or does not.
"""

from typing import NamedTuple

import maxflow
import numpy as np
from numba import njit

NEVER = -1
"""The time at which a label was last tried, before it was."""


class Graph(NamedTuple):
    """Which nodes are neighbours; every pair is listed at both of its ends.

    Attributes:
        first: (N + 1,) int64, where each node's neighbours begin.
        neighbor: (A,) int32.
        weight: (A,) int32 cost of two labels that differ, 0 or more.
    """

    first: np.ndarray
    neighbor: np.ndarray
    weight: np.ndarray

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.first) - 1


class Candidates(NamedTuple):
    """The labels that each node may take.

    Attributes:
        first: (N + 1,) int64, where each node's candidates begin; every node has one or more.
        label: (C,) int16, no label twice for a node.
        cost: (C,) int32 of taking it, the data term.
    """

    first: np.ndarray
    label: np.ndarray
    cost: np.ndarray


class Labelling(NamedTuple):
    """The labels while they are being improved.

    Attributes:
        labels: (N,) int16.
        cost: (N,) int32 data term of each node's label.
        changed: (N,) int64, the last time that a node or one of its neighbours changed its label.
        index: (N,) int32 scratch, -1 between moves: a node's place among those that a move decides.
    """

    labels: np.ndarray
    cost: np.ndarray
    changed: np.ndarray
    index: np.ndarray


def energy(graph: Graph, candidates: Candidates, labels: np.ndarray) -> int:
    """The Potts energy of labels (N,) int16: each node's cost, and the weights between nodes that differ."""
    return int(_energy(graph, _label_costs(candidates, labels), labels))


def expand_labels(graph: Graph, candidates: Candidates, labels: np.ndarray) -> np.ndarray:
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
    first, holder, place = _group_by_label(candidates)
    current = Labelling(
        labels=labels,
        cost=_label_costs(candidates, labels),
        changed=np.zeros(graph.nodes, np.int64),
        index=np.full(graph.nodes, -1, np.int32),
    )
    tried = np.full(len(first) - 1, NEVER, np.int64)
    now, better = 0, True
    # Sweeps over all labels; time counts the moves that were tried.
    while better:
        better = False
        for alpha in range(len(first) - 1):
            own = slice(first[alpha], first[alpha + 1])
            # The nodes that the move may change are decided by one minimum cut.
            nodes, places = _nodes_to_try(alpha, holder[own], place[own], graph, current, tried[alpha])
            now += 1
            tried[alpha] = now
            if not len(nodes):
                continue
            takes = _min_cut(alpha, nodes, places, graph, candidates.cost, current)
            if takes is not None:
                _apply_move(alpha, nodes[takes], places[takes], graph, candidates.cost, current, now)
                better = True
    return labels


def _min_cut(alpha, nodes, places, graph, costs, current):
    """(K,) bool: which of the nodes take ``alpha``, all of them decided together at the least cost; None if
    none should."""
    keep, switch, ends, capacity = _cut_terms(alpha, nodes, places, graph, costs, current)
    before = keep.sum()
    if before == 0:
        return None
    network = maxflow.GraphInt(len(nodes), len(capacity))
    node_ids = network.add_grid_nodes(len(nodes))
    network.add_grid_tedges(node_ids, switch, keep)
    if len(capacity):
        network.add_edges(ends[0], ends[1], capacity, np.zeros_like(capacity))
    return network.get_grid_segments(node_ids) if network.maxflow() < before else None


@njit(cache=True, nogil=True)
def build_graph(count, edges, weights):
    """The :class:`Graph` of ``count`` nodes with edges (E, 2) int32 and weights (E,) int32."""
    # Degrees, then both ends of every edge.
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
    return Graph(first, neighbor, weight)


@njit(cache=True, nogil=True)
def cheapest_labels(candidates):
    """(N,) int16: the label of each node that costs least by itself."""
    first, cost = candidates.first, candidates.cost
    result = np.empty(first.size - 1, np.int16)
    for n in range(result.size):
        best = first[n]
        for k in range(first[n], first[n + 1]):
            if cost[k] < cost[best]:
                best = k
        result[n] = candidates.label[best]
    return result


@njit(cache=True, nogil=True)
def _energy(graph, cost, labels):
    """Data terms (N,) and the weights between nodes that differ."""
    total = np.int64(0)
    for n in range(labels.size):
        total += cost[n]
        # Every pair once, from its lower end.
        for k in range(graph.first[n], graph.first[n + 1]):
            if graph.neighbor[k] > n and labels[graph.neighbor[k]] != labels[n]:
                total += graph.weight[k]
    return total


@njit(cache=True, nogil=True)
def _label_costs(candidates, labels):
    """(N,) int32 data term of each node's label."""
    result = np.empty(labels.size, np.int32)
    for n in range(labels.size):
        for k in range(candidates.first[n], candidates.first[n + 1]):
            if candidates.label[k] == labels[n]:
                result[n] = candidates.cost[k]
    return result


@njit(cache=True, nogil=True)
def _group_by_label(candidates):
    """The candidates by label instead of by node: where each label begins, the nodes, and their places among
    the candidates."""
    first, label = candidates.first, candidates.label
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
def _nodes_to_try(alpha, holder, place, graph, current, tried):
    """The nodes that could switch to ``alpha``, without the connected groups in and around which nothing
    changed since it was ``tried``: a new cut would decide them as before.

    Args:
        holder, place: the nodes with ``alpha`` as a candidate, and its places among the candidates.

    Returns:
        The nodes, and the places of ``alpha``. Leaves in ``current.index`` each node's place in the answer,
        -1 elsewhere.
    """
    index, first = current.index, graph.first
    nodes, places = np.empty(holder.size, np.int32), np.empty(holder.size, np.int64)
    # Nodes that are not looked at yet are marked with -2 and below: which holder each is.
    waiting = -2
    for k in range(holder.size):
        if current.labels[holder[k]] != alpha:
            index[holder[k]] = waiting - k
    count = 0
    for k in range(holder.size):
        if index[holder[k]] >= -1:
            continue
        # The connected group of this node, breadth-first.
        begin, head, stirred = count, count, False
        nodes[count], places[count], index[holder[k]] = holder[k], place[k], count
        count += 1
        while head < count:
            n = nodes[head]
            head += 1
            stirred |= current.changed[n] > tried
            for j in range(first[n], first[n + 1]):
                m = graph.neighbor[j]
                if index[m] < -1:
                    nodes[count], places[count], index[m] = m, place[waiting - index[m]], count
                    count += 1
        # Taken back if nothing changed in it.
        if not stirred:
            for i in range(begin, count):
                index[nodes[i]] = -1
            count = begin
    return nodes[:count], places[:count]


@njit(cache=True, nogil=True)
def _cut_terms(alpha, nodes, places, graph, costs, current):
    """The move as a cut: what each node pays to keep its label or to switch, and what a pair pays if the
    first keeps and the second switches (Kolmogorov and Zabih 2004, section 4.1). Clears ``current.index``.

    Returns:
        ``keep`` and ``switch`` (K,) int64, and the arcs: ``ends`` (2, A) and ``capacity`` (A,) int64.
    """
    labels, index, first = current.labels, current.index, graph.first
    # Data terms.
    keep, switch = np.empty(nodes.size, np.int64), np.empty(nodes.size, np.int64)
    arcs = 0
    for i in range(nodes.size):
        keep[i], switch[i] = current.cost[nodes[i]], costs[places[i]]
        arcs += first[nodes[i] + 1] - first[nodes[i]]
    ends, capacity = np.empty((2, arcs), np.int64), np.empty(arcs, np.int64)
    arcs = 0
    for i in range(nodes.size):
        n = nodes[i]
        for k in range(first[n], first[n + 1]):
            m, w = graph.neighbor[k], graph.weight[k]
            differ = w if labels[m] != labels[n] else 0
            if index[m] < 0:
                # A neighbour that the move leaves alone.
                keep[i] += differ
                switch[i] += w if labels[m] != alpha else 0
            elif m > n:
                # A pair that the move decides, once: its four costs as two terms and one arc.
                switch[i] += w - differ
                switch[index[m]] -= w
                ends[0, arcs], ends[1, arcs], capacity[arcs] = i, index[m], 2 * w - differ
                arcs += 1
    for i in range(nodes.size):
        # Only the difference of the two matters, and the cut takes no negative costs.
        index[nodes[i]] = -1
        least = min(keep[i], switch[i])
        keep[i] -= least
        switch[i] -= least
    return keep, switch, ends[:, :arcs], capacity[:arcs]


@njit(cache=True, nogil=True)
def _apply_move(alpha, nodes, places, graph, costs, current, now):
    """Gives ``alpha`` to nodes, and notes the time at them and their neighbours."""
    for i in range(nodes.size):
        n = nodes[i]
        current.labels[n], current.cost[n], current.changed[n] = alpha, costs[places[i]], now
        for k in range(graph.first[n], graph.first[n + 1]):
            current.changed[graph.neighbor[k]] = now
