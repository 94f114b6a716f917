"""Joining charts across their borders while their union still lies flat.

The reconciliation of parts of AssetGen 6.3, made stricter: two charts become one only after their union was
flattened and measured. In rounds: pairs are proposed in the order of how much of their outline they share,
those without a chart in common are tried at once in threads (numba and SuperLU release the GIL), and a pair
that was refused is not tried again until one of the two has grown.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...parallel import iterate_parallel
from ..edges import half_edge_lengths, link_components, next_half_edge, twin_half_edges
from ..surface import triangle_normals
from ..uvs import count_overlaps
from .config import UnwrapConfig
from .flatten import fit_into_square, flatten_chart, flatten_triangles

COARSE_GRID = 64
"""Texels along the raster that finds out whether two charts laid border to border overlap much."""


@dataclass(frozen=True)
class Union:
    """Two charts joined: their faces (N,) with ``uvs`` (N, 3, 2) and ``wedges`` (N, 3), and the length of the
    seam between them."""

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
    config: UnwrapConfig,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joins neighbours until no union lies flat.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        uvs: (F, 3, 2) float64, every chart as large in the plane as in space.
        wedges: (F, 3) int64 from 0: corners of one number lie at one place.
        chart: (F,) int64 from 0, none left out.
        config: see :class:`.config.UnwrapConfig`.
        progress: called with the fraction done; what it raises ends the work.

    Returns:
        ``uvs``, ``wedges`` and ``chart`` as given, with fewer charts, every chart as large in the plane as in
        space.
    """
    layout = ChartLayout(vertices, faces, uvs, wedges, chart, config)
    layout.join(progress)
    chart = np.unique(layout.chart, return_inverse=True)[1]
    return layout.uvs, layout.wedges, chart


class ChartLayout:
    """All charts as they lie now. Threads only read; :meth:`join` writes what they found.

    Attributes:
        charts: chart number to its faces (N,); a joined chart gets a new number.
        perimeter: length of each chart's outline, by number.
        seams: (S, 2) half-edges on both sides of each edge that is cut, ``length`` (S,) and ``weight`` (S,)
            theirs: seams along sharp edges weigh less.
        size: side of the square that the whole surface would fill.
    """

    def __init__(self, vertices, faces, uvs, wedges, chart, config):
        self.config = config
        self.faces, self.wedges, self.chart = faces, wedges.copy(), chart.copy()
        self.uvs = uvs.copy()
        self.flat = flatten_triangles(vertices, faces)
        self.size = np.sqrt(0.5 * (self.flat[:, 1, 0] * self.flat[:, 2, 1]).sum())
        order = np.argsort(chart, kind="stable")
        self.charts = dict(enumerate(np.split(order, np.cumsum(np.bincount(chart))[:-1])))

        # An edge is closed where both of its ends are one wedge on both sides; all others are outline.
        length, edges = half_edge_lengths(vertices, faces), twin_half_edges(faces)
        corner = wedges.ravel()
        closed = (corner[edges[:, 0]] == corner[next_half_edge(edges[:, 1])]) & (
            corner[next_half_edge(edges[:, 0])] == corner[edges[:, 1]]
        )
        outline = np.ones(len(length), bool)
        outline[edges[closed].ravel()] = False
        self.perimeter = list(np.bincount(chart, np.where(outline, length, 0.0).reshape(-1, 3).sum(axis=1)))
        self.seams, self.length = edges[~closed], length[edges[~closed, 0]]
        normals = triangle_normals(vertices, faces)
        cosine = np.einsum("nx,nx->n", *(normals[self.seams[:, half] // 3] for half in (0, 1)))
        self.weight = self.length * (0.5 + 0.5 * np.clip(cosine, -1, 1))

    def join(self, progress):
        """Joins pairs of charts until no pair is left to try, or as many were tried as there may be."""
        refused, rounds, tried = set(), 0, 0
        while tried < self.config.max_unions and (proposals := self._proposals(refused)):
            rounds += 1
            tried += len(proposals)
            # The iterator has no name, so that its threads end at once when ``progress`` raises.
            for (pair, _), union in zip(proposals, iterate_parallel(self._unite, proposals), strict=True):
                if union is None:
                    refused.add(pair)
                else:
                    self._replace(pair, union)
                progress(1 - 0.8**rounds)

    def _replace(self, pair, union):
        """Puts a union in the place of its two charts."""
        new = len(self.perimeter)
        self.perimeter.append(sum(self.perimeter[i] for i in pair) - 2 * union.closed)
        for i in pair:
            del self.charts[i]
        self.charts[new] = union.faces
        self.chart[union.faces] = new
        self.wedges[union.faces] = union.wedges
        self.uvs[union.faces] = union.uvs

    def _proposals(self, refused):
        """``[(pair, seams), ...]`` to try in one round: two charts, the lower number first, and the seams
        between them."""
        # Seams within a chart stay cut; those between two charts are gathered by pair.
        owners = self.chart[self.seams // 3]
        between = owners[:, 0] != owners[:, 1]
        self.seams, owners = self.seams[between], owners[between]
        self.length, self.weight = self.length[between], self.weight[between]
        count = len(self.perimeter)
        keys, row = np.unique(owners.min(axis=1) * count + owners.max(axis=1), return_inverse=True)
        pairs = np.stack([keys // count, keys % count], axis=1)
        perimeter = np.array(self.perimeter)[pairs].min(axis=1)
        shared = np.bincount(row, self.weight, len(keys)) / np.maximum(perimeter, 1e-30)
        seams = np.split(
            np.argsort(row, kind="stable"), np.cumsum(np.bincount(row, minlength=len(keys)))[:-1]
        )
        # The longest shared border first; each chart is in one pair at most.
        engaged, proposals = set(), []
        for i in np.argsort(-shared, kind="stable"):
            pair = tuple(pairs[i].tolist())
            if shared[i] < self.config.min_shared_border or pair in refused:
                continue
            if engaged.isdisjoint(pair):
                proposals.append((pair, seams[i]))
            engaged.update(pair)
        return proposals

    def _unite(self, proposal):
        """The union of two charts, closed along all seams between them, else along their longest connected
        run of seams; None if neither lies flat."""
        pair, seams = proposal
        halves, length = self.seams[seams], self.length[seams]
        swapped = self.chart[halves[:, 0] // 3] != pair[0]
        halves[swapped] = halves[swapped, ::-1]
        union = self._close(pair, halves, length.sum())
        if union is None and not (run := self._longest_run(halves, length)).all():
            union = self._close(pair, halves[run], length[run].sum())
        return union

    def _longest_run(self, halves, length):
        """(N,) bool: the seams of the longest run that is connected by its vertices."""
        corners = self.faces.ravel()
        _, ends = np.unique(
            np.stack([corners[halves[:, 0]], corners[next_half_edge(halves[:, 0])]]), return_inverse=True
        )
        run = link_components(ends.reshape(2, -1))[ends.reshape(2, -1)[0]]
        return run == np.argmax(np.bincount(run, length))

    def _close(self, pair, halves, closed):
        """The union of two charts closed along seams, None if it does not lie flat; cheap tests come
        first."""
        one, two = (self.charts[i] for i in pair)
        # The corners on both sides of the seams.
        own = np.concatenate([halves[:, 0], next_half_edge(halves[:, 0])])
        other = np.concatenate([next_half_edge(halves[:, 1]), halves[:, 1]])
        places = self.uvs.reshape(-1, 2)
        # The second chart is moved rigidly until its border lies on the first's.
        moved, gap = _align_border(places[own], places[other], self.uvs[two])
        if gap > self.config.max_border_gap:
            return None
        uvs = np.concatenate([self.uvs[one], moved])
        square, size = fit_into_square(uvs)
        sizes = [fit_into_square(self.uvs[chart])[1] for chart in (one, two)]
        limit = max(
            self.config.max_joined_size * self.size, *(self.config.max_growth * size for size in sizes)
        )
        if size > limit or _overlap_fraction(square) > self.config.max_border_overlap:
            return None
        # The seams become inner edges, and the whole is flattened.
        faces = np.concatenate([one, two])
        wedges, names = _weld_wedges(self.wedges[faces], self.wedges.ravel()[own], self.wedges.ravel()[other])
        uvs = flatten_chart(self.flat[faces], wedges, uvs, self.config)
        return None if uvs is None else Union(faces, uvs, names[wedges], closed)


def _align_border(places, others, uvs):
    """``(moved, gap)``: ``uvs`` rotated and shifted so that ``others`` (N, 2) lie best on ``places`` (N, 2),
    and the relative gap between the two that is left (orthogonal Procrustes, Schönemann 1966, in the
    plane)."""
    # Points of the plane as complex numbers: a rotation is a product.
    places, others = places @ [1, 1j], others @ [1, 1j]
    centred, other_centred = places - places.mean(), others - others.mean()
    turn = (centred * other_centred.conj()).sum()
    turn /= max(abs(turn), 1e-30)
    gap = np.linalg.norm(centred - turn * other_centred) / max(np.linalg.norm(centred), 1e-30)
    moved = (uvs @ [1, 1j] - others.mean()) * turn + places.mean()
    return np.stack([moved.real, moved.imag], axis=-1), gap


def _overlap_fraction(square):
    """Fraction of the covered texels of a coarse raster that are covered twice."""
    covered, twice = count_overlaps(square, COARSE_GRID)
    return twice / max(covered, 1)


def _weld_wedges(wedges, own, other):
    """``(local, names)``: wedges (N, 3) numbered from 0 with each of ``own`` (M,) welded to its ``other``,
    and one of the former numbers for each."""
    names, local = np.unique(np.concatenate([wedges.ravel(), own, other]), return_inverse=True)
    links = np.concatenate(
        [np.tile(np.arange(len(names)), (2, 1)), local[wedges.size :].reshape(2, -1)], axis=1
    )
    welded = link_components(links)
    new_names = np.zeros(welded.max() + 1, np.int64)
    new_names[welded] = names
    return welded[local[: wedges.size]].reshape(-1, 3), new_names
