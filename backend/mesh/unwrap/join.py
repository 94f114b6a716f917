"""Joining charts across their borders while the whole still lies flat.

The reconciliation of parts of AssetGen 6.3, made stricter: two charts become one only after their union was
flattened and measured. In rounds: pairs propose in the order of how much of their outline they share, those
without a chart in common are tried at once in threads (numba and SuperLU let go of the GIL), and a pair that
was refused is not tried again until one of the two has grown.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..edges import half_lengths, next_half, pieces, twins
from ..surface import triangle_normals
from ..uvs import count_overlaps
from .flatten import in_square, laid_flat, lay_flat

LEAST_SHARE = 0.15
"""Part of the shorter outline that two charts must share, a fold counted less: joining at necks makes shapes
that waste the square."""

LONGEST = 0.6
"""Side of a joined chart over the side of the square that the whole surface would fill, unless one of the two
is nearly as long."""

NEARLY = 1.1
"""Times as long as one of the two: strips side by side may become one chart however long they are."""

MOST_BENT = 0.25
"""Gap between two borders laid on each other, over their size, above which flattening is not tried."""

MOST_COVERED = 0.03
"""Part of two charts laid border to border that may overlap before flattening is not tried."""


@dataclass(frozen=True)
class Union:
    """Two charts joined: their faces (N,) with ``uvs`` (N, 3, 2) and ``wedges`` (N, 3), and the length of the
    seam that closed."""

    faces: np.ndarray
    uvs: np.ndarray
    wedges: np.ndarray
    closed: float


def join_charts(
    vertices: np.ndarray,
    faces: np.ndarray,
    uvs: np.ndarray,
    wedges: np.ndarray,
    chart: np.ndarray,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joins neighbours until no union lies flat.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        uvs: (F, 3, 2) float64, every chart as large in the plane as in space.
        wedges: (F, 3) int64 from 0: corners of one number lie at one place.
        chart: (F,) int64 from 0, none left out.
        progress: told the fraction done; what it raises ends the work.

    Returns:
        ``uvs``, ``wedges`` and ``chart`` as given, with fewer charts, every chart as large in the plane as in
        space.
    """
    layout = _Layout(vertices, faces, uvs, wedges, chart)
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        layout.join(pool, progress)
    finally:
        pool.shutdown(cancel_futures=True)
    chart = np.unique(layout.chart, return_inverse=True)[1]
    return layout.uvs, layout.wedges, chart


class _Layout:
    """All charts as they lie now. Threads only read; :meth:`join` writes what they found."""

    def __init__(self, vertices, faces, uvs, wedges, chart):
        self.faces, self.wedges, self.chart = faces, wedges.copy(), chart.copy()
        self.uvs = uvs.copy()
        self.flat = lay_flat(vertices, faces)
        self.side = np.sqrt(0.5 * (self.flat[:, 1, 0] * self.flat[:, 2, 1]).sum())
        order = np.argsort(chart, kind="stable")
        self.charts = dict(enumerate(np.split(order, np.cumsum(np.bincount(chart))[:-1])))

        length, edges = half_lengths(vertices, faces), twins(faces)
        corner = wedges.ravel()
        closed = (corner[edges[:, 0]] == corner[next_half(edges[:, 1])]) & (
            corner[next_half(edges[:, 0])] == corner[edges[:, 1]]
        )
        outline = np.ones(len(length), bool)
        outline[edges[closed].ravel()] = False
        self.perimeter = list(np.bincount(chart, np.where(outline, length, 0.0).reshape(-1, 3).sum(axis=1)))
        self.seams, self.length = edges[~closed], length[edges[~closed, 0]]
        normals = triangle_normals(vertices, faces)
        cosine = np.einsum("nx,nx->n", *(normals[self.seams[:, side] // 3] for side in (0, 1)))
        self.weight = self.length * (0.5 + 0.5 * np.clip(cosine, -1, 1))

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
                progress(1 - 0.8**rounds)

    def _replace(self, pair, union):
        new = len(self.perimeter)
        self.perimeter.append(sum(self.perimeter[i] for i in pair) - 2 * union.closed)
        for i in pair:
            del self.charts[i]
        self.charts[new] = union.faces
        self.chart[union.faces] = new
        self.wedges[union.faces] = union.wedges
        self.uvs[union.faces] = union.uvs

    def _proposals(self, refused):
        """``[(pair, seams), ...]`` to try in one round: two charts, the one with less numbers first, and the
        seams between them."""
        sides = self.chart[self.seams // 3]
        apart = sides[:, 0] != sides[:, 1]
        self.seams, self.length, self.weight, sides = (
            self.seams[apart],
            self.length[apart],
            self.weight[apart],
            sides[apart],
        )
        count = len(self.perimeter)
        keys, row = np.unique(sides.min(axis=1) * count + sides.max(axis=1), return_inverse=True)
        pairs = np.stack([keys // count, keys % count], axis=1)
        perimeter = np.array(self.perimeter)[pairs].min(axis=1)
        share = np.bincount(row, self.weight, len(keys)) / np.maximum(perimeter, 1e-30)
        seams = np.split(
            np.argsort(row, kind="stable"), np.cumsum(np.bincount(row, minlength=len(keys)))[:-1]
        )
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
        """The two charts as one, closed along all seams between them, else along the longest run of seams;
        None if neither lies flat."""
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
        _, ends = np.unique(
            np.stack([corners[halves[:, 0]], corners[next_half(halves[:, 0])]]), return_inverse=True
        )
        run = pieces(ends.reshape(2, -1))[ends.reshape(2, -1)[0]]
        return run == np.argmax(np.bincount(run, length))

    def _closed(self, pair, halves, closed):
        one, two = (self.charts[i] for i in pair)
        own = np.concatenate([halves[:, 0], next_half(halves[:, 0])])
        other = np.concatenate([next_half(halves[:, 1]), halves[:, 1]])
        places = self.uvs.reshape(-1, 2)
        moved, gap = _aligned(places[own], places[other], self.uvs[two])
        if gap > MOST_BENT:
            return None
        uvs = np.concatenate([self.uvs[one], moved])
        square, size = in_square(uvs)
        longest = max(LONGEST * self.side, *(NEARLY * in_square(self.uvs[part])[1] for part in (one, two)))
        if size > longest or _overlap(square) > MOST_COVERED:
            return None
        faces = np.concatenate([one, two])
        wedges, names = _welded(self.wedges[faces], self.wedges.ravel()[own], self.wedges.ravel()[other])
        uvs = laid_flat(self.flat[faces], wedges, uvs)
        return None if uvs is None else Union(faces, uvs, names[wedges], closed)


def _aligned(places, others, uvs):
    """``uvs`` turned and moved as lays ``others`` best on ``places`` (N, 2), and the gap that is left
    (Schönemann 1966 in the plane)."""
    places, others = places @ [1, 1j], others @ [1, 1j]
    centred, other_centred = places - places.mean(), others - others.mean()
    turn = (centred * other_centred.conj()).sum()
    turn /= max(abs(turn), 1e-30)
    gap = np.linalg.norm(centred - turn * other_centred) / max(np.linalg.norm(centred), 1e-30)
    moved = (uvs @ [1, 1j] - others.mean()) * turn + places.mean()
    return np.stack([moved.real, moved.imag], axis=-1), gap


def _overlap(square):
    """Part of the covered cells of a coarse raster that is covered twice."""
    covered, twice = count_overlaps(square, 64)
    return twice / max(covered, 1)


def _welded(wedges, own, other):
    """``(local, names)``: wedges (N, 3) numbered from 0 with each of ``own`` (M,) made one with its
    ``other``; a name for each number."""
    names, local = np.unique(np.concatenate([wedges.ravel(), own, other]), return_inverse=True)
    links = np.concatenate(
        [np.tile(np.arange(len(names)), (2, 1)), local[wedges.size :].reshape(2, -1)], axis=1
    )
    piece = pieces(links)
    new_names = np.zeros(piece.max() + 1, np.int64)
    new_names[piece] = names
    return piece[local[: wedges.size]].reshape(-1, 3), new_names
