"""Joining charts across their borders while the whole still lies flat.

The reconciliation of parts of AssetGen 6.3, made stricter: two charts become one only after their union was flattened and measured.
In rounds: pairs propose in the order of how much of their outline they share, those without a chart in common are tried at once in
threads (numba and SuperLU let go of the GIL), and a pair that was refused is not tried again until one of the two has grown.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .edges import half_lengths, next_half, twins
from .flatten import l2_stretch, lay_flat, lies_on_itself, relax, singular_values
from .surface import triangle_normals
from .uvs import count_overlaps

STEPS = 5
"""Local and global steps of every flattening."""

MOST_STRETCH = 1.002
"""L2 stretch that a joined chart may have, unless its parts had more."""

WORST_STRETCH = 1.2
"""How far any triangle of a joined chart may be drawn together, unless one of its parts was worse."""

LEAST_SHARE = 0.15
"""Part of the shorter outline that two charts must share, a fold counted less: joining at necks makes shapes that waste the square."""

LONGEST = 0.6
"""Side of a joined chart over the side of the square that the whole surface would fill."""

MOST_BENT = 0.25
"""Gap between two borders laid on each other, over their size, above which flattening is not tried."""

MOST_COVERED = 0.03
"""Part of two charts laid border to border that may overlap before flattening is not tried."""


@dataclass(frozen=True)
class Chart:
    """Faces (N,) that lie in the plane together, their L2 stretch, and how far the worst is drawn together (infinite: mirrored)."""

    faces: np.ndarray
    stretch: float
    worst: float


@dataclass(frozen=True)
class Union:
    """Two charts joined: ``uvs`` (N, 3, 2) and ``wedges`` (N, 3) for its faces, and the length of the seam that closed."""

    chart: Chart
    uvs: np.ndarray
    wedges: np.ndarray
    closed: float


def join_charts(vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray, wedges: np.ndarray, chart: np.ndarray,
                progress: Callable[[float], None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flattens every chart anew, then joins neighbours.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        uvs: (F, 3, 2) float64, each chart at a scale of its own, mirrored or not.
        wedges: (F, 3) int64 from 0: corners of one number lie at one place.
        chart: (F,) int64 from 0, none left out.
        progress: told the fraction done; what it raises ends the work.

    Returns:
        ``uvs``, ``wedges`` and ``chart`` as given, with fewer charts, every chart as large in the plane as in space.
    """
    layout = _Layout(vertices, faces, uvs, wedges, chart)
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        layout.flatten(pool, progress)
        layout.join(pool, progress)
    finally:
        pool.shutdown(cancel_futures=True)
    chart = np.unique(layout.chart, return_inverse=True)[1]
    return layout.uvs, layout.wedges, chart


class _Layout:
    """All charts as they lie now. Threads only read; :meth:`flatten` and :meth:`join` write what they found."""

    def __init__(self, vertices, faces, uvs, wedges, chart):
        self.faces, self.wedges, self.chart = faces, wedges.copy(), chart.copy()
        signed = np.bincount(chart, _signed_areas(uvs))
        self.uvs = np.where((signed < 0)[chart][:, None, None], uvs * [-1.0, 1.0], uvs)
        self.flat = lay_flat(vertices, faces)
        self.area = 0.5 * self.flat[:, 1, 0] * self.flat[:, 2, 1]
        self.side = np.sqrt(self.area.sum())
        order = np.argsort(chart, kind="stable")
        self.charts = {i: members for i, members in enumerate(np.split(order, np.cumsum(np.bincount(chart))[:-1]))}

        length, edges = half_lengths(vertices, faces), twins(faces)
        corner = wedges.ravel()
        closed = (corner[edges[:, 0]] == corner[next_half(edges[:, 1])]) & (corner[next_half(edges[:, 0])] == corner[edges[:, 1]])
        outline = np.ones(len(length), bool)
        outline[edges[closed].ravel()] = False
        self.perimeter = list(np.bincount(chart, np.where(outline, length, 0.0).reshape(-1, 3).sum(axis=1)))
        self.seams, self.length = edges[~closed], length[edges[~closed, 0]]
        normals = triangle_normals(vertices, faces)
        cosine = np.einsum("nx,nx->n", *(normals[self.seams[:, side] // 3] for side in (0, 1)))
        self.weight = self.length * (0.5 + 0.5 * np.clip(cosine, -1, 1))

    def flatten(self, pool, progress):
        """Every chart as rigid as it can be, where that betters it."""
        for done, (index, (chart, uvs)) in enumerate(zip(self.charts, pool.map(self._flattened, self.charts.values()), strict=True)):
            self.charts[index], self.uvs[chart.faces] = chart, uvs
            progress(0.3 * (done + 1) / len(self.charts))

    def _flattened(self, faces):
        _, wedges = np.unique(self.wedges[faces], return_inverse=True)
        wedges = wedges.reshape(-1, 3)
        before = self._measured(faces, self.uvs[faces])
        after = self._measured(faces, relax(self.flat[faces], wedges, self.uvs[faces], STEPS))
        better = after[0].stretch < before[0].stretch and not lies_on_itself(wedges, after[1])
        return after if better else before

    def _measured(self, faces, uvs):
        """The chart, and its UVs scaled to its area in space."""
        area = self.area[faces]
        uvs = uvs * np.sqrt(area.sum() / max(np.abs(_signed_areas(uvs)).sum(), 1e-30))
        largest, smallest = singular_values(self.flat[faces], uvs)
        if smallest.min() <= 1e-6:
            return Chart(faces, np.inf, np.inf), uvs
        return Chart(faces, l2_stretch(largest, smallest, area), 1 / smallest.min()), uvs

    def join(self, pool, progress):
        """Joins pairs of charts until no pair is left to try."""
        refused, rounds = set(), 0
        while proposals := self._proposals(refused):
            rounds += 1
            for (pair, _), union in zip(proposals, pool.map(self._union, proposals), strict=True):
                if union is None:
                    refused.add(pair)
                else:
                    self._replace(pair, union)
                progress(1 - 0.7 * 0.8**rounds)

    def _replace(self, pair, union):
        new = len(self.perimeter)
        self.perimeter.append(sum(self.perimeter[i] for i in pair) - 2 * union.closed)
        for i in pair:
            del self.charts[i]
        self.charts[new] = union.chart
        self.chart[union.chart.faces] = new
        self.wedges[union.chart.faces] = union.wedges
        self.uvs[union.chart.faces] = union.uvs

    def _proposals(self, refused):
        """``[(pair, seams), ...]`` to try in one round: two charts, the one with less numbers first, and the seams between them."""
        sides = self.chart[self.seams // 3]
        apart = sides[:, 0] != sides[:, 1]
        self.seams, self.length, self.weight, sides = self.seams[apart], self.length[apart], self.weight[apart], sides[apart]
        count = len(self.perimeter)
        keys, row = np.unique(sides.min(axis=1) * count + sides.max(axis=1), return_inverse=True)
        pairs = np.stack([keys // count, keys % count], axis=1)
        perimeter = np.array(self.perimeter)[pairs].min(axis=1)
        share = np.bincount(row, self.weight, len(keys)) / np.maximum(perimeter, 1e-30)
        seams = np.split(np.argsort(row, kind="stable"), np.cumsum(np.bincount(row, minlength=len(keys)))[:-1])
        engaged, proposals = set(), []
        for i in np.argsort(-share, kind="stable"):
            pair = tuple(pairs[i].tolist())
            if share[i] < LEAST_SHARE or pair in refused:
                continue
            if engaged.isdisjoint(pair):
                proposals.append((pair, seams[i]))
            engaged.update(pair)
        return proposals

    def _union(self, proposal):
        """The two charts as one, closed along all seams between them, else along the longest run of seams; None if neither lies flat."""
        pair, seams = proposal
        halves, length = self.seams[seams], self.length[seams]
        turned = self.chart[halves[:, 0] // 3] != pair[0]
        halves[turned] = halves[turned, ::-1]
        union = self._closed(pair, halves, length.sum())
        if union is None and not (run := self._longest_run(halves, length)).all():
            union = self._closed(pair, halves[run], length[run].sum())
        return union

    def _longest_run(self, halves, length):
        corners = self.faces.ravel()
        _, ends = np.unique(np.stack([corners[halves[:, 0]], corners[next_half(halves[:, 0])]]), return_inverse=True)
        run = _pieces(ends.reshape(2, -1))[ends.reshape(2, -1)[0]]
        return run == np.argmax(np.bincount(run, length))

    def _closed(self, pair, halves, closed):
        one, two = (self.charts[i] for i in pair)
        own = np.concatenate([halves[:, 0], next_half(halves[:, 0])])
        other = np.concatenate([next_half(halves[:, 1]), halves[:, 1]])
        places = self.uvs.reshape(-1, 2)
        moved, gap = _aligned(places[own], places[other], self.uvs[two.faces])
        if gap > MOST_BENT:
            return None
        uvs = np.concatenate([self.uvs[one.faces], moved])
        if np.ptp(uvs, axis=(0, 1)).max() > LONGEST * self.side or _overlap(uvs) > MOST_COVERED:
            return None
        faces = np.concatenate([one.faces, two.faces])
        wedges, names = _welded(self.wedges[faces], self.wedges.ravel()[own], self.wedges.ravel()[other])
        chart, uvs = self._measured(faces, relax(self.flat[faces], wedges, uvs, STEPS))
        if self._lies_well(chart, one, two) and not lies_on_itself(wedges, uvs):
            return Union(chart, uvs, names[wedges], closed)
        return None

    def _lies_well(self, chart, one, two):
        if not np.isfinite(chart.stretch):
            return False
        parts = [part for part in (one, two) if np.isfinite(part.stretch)]
        weights = [self.area[part.faces].sum() for part in parts]
        before = np.sqrt(np.average([part.stretch**2 for part in parts], weights=weights)) if parts else 1.0
        return chart.stretch <= max(MOST_STRETCH, before) and chart.worst <= max(WORST_STRETCH, *(part.worst for part in parts), 1.0)


def _signed_areas(uvs):
    edges = uvs[:, 1:] - uvs[:, :1]
    return 0.5 * (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])


def _aligned(places, others, uvs):
    """``uvs`` turned and moved as lays ``others`` best on ``places`` (N, 2), and the gap that is left (Schönemann 1966 in the plane)."""
    places, others = places @ [1, 1j], others @ [1, 1j]
    centred, other_centred = places - places.mean(), others - others.mean()
    turn = (centred * other_centred.conj()).sum()
    turn /= max(abs(turn), 1e-30)
    gap = np.linalg.norm(centred - turn * other_centred) / max(np.linalg.norm(centred), 1e-30)
    moved = (uvs @ [1, 1j] - others.mean()) * turn + places.mean()
    return np.stack([moved.real, moved.imag], axis=-1), gap


def _overlap(uvs):
    """Part of the covered cells of a coarse raster that is covered twice."""
    low = uvs.min(axis=(0, 1))
    size = max(np.ptp(uvs, axis=(0, 1)).max(), 1e-30)
    covered, twice = count_overlaps(np.ascontiguousarray((uvs - low) / size, np.float32), 64)
    return twice / max(covered, 1)


def _pieces(links):
    """(N,) piece of each of N things, given (2, M) which hang together."""
    count = int(links.max()) + 1
    return connected_components(coo_matrix((np.ones(links.shape[1], bool), links), shape=(count, count)), directed=False)[1]


def _welded(wedges, own, other):
    """``(local, names)``: wedges (N, 3) numbered from 0 with each of ``own`` (M,) made one with its ``other``; a name for each number."""
    names, local = np.unique(np.concatenate([wedges.ravel(), own, other]), return_inverse=True)
    links = np.concatenate([np.tile(np.arange(len(names)), (2, 1)), local[wedges.size:].reshape(2, -1)], axis=1)
    piece = _pieces(links)
    new_names = np.zeros(piece.max() + 1, np.int64)
    new_names[piece] = names
    return piece[local[:wedges.size]].reshape(-1, 3), new_names
