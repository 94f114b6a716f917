"""Directions on the surface that patterns follow: up the object's main axis, and along whatever is round like
a tube."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

RADIUS = 0.09
"""In longest sides of the mesh, within which normals tell a tube from a ball or a plane."""

TWO, MANY = 1.15, 1.4
"""Kurtosis less squared skewness of the normals' angles: of two directions, those of an edge even if it is
bevelled, and of a tube, even of four sides; evenly spread angles have 1.8."""

STEEP, FITS, MISSED = 0.3, 10, 0.03
"""Of the fit of an axis of revolution: the horizontal part of normals that count, rounds, and by how far half
trusted normals miss it."""

ASIDE, MOST = 0.25, 0.6
"""By what part of its distance a normal may miss the axis, and the share that has to meet it: eight sides are
round enough, not six."""

SOME = 6000
"""Points that the shape is measured at."""


@dataclass(frozen=True)
class Field:
    """A tangent frame for any point of a surface.

    Attributes:
        points, normals: (N, 3) float32 of the surface, evenly spread; normals outward.
        axis: (3,) the direction that counts as up.
        away: (3,) horizontal direction in which the reference's camera looks, the way on from what it sees on
            level faces.
        middle: (3,) on the axis of a surface of revolution, see :func:`middle_of_revolution`: there the way
            on is towards it; else None.
    """

    points: np.ndarray
    normals: np.ndarray
    axis: np.ndarray
    away: np.ndarray
    middle: np.ndarray | None

    def frames(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2, 3) float32 unit tangents of points (N, 3) with normals (N, 3): to the right and upwards for
        who looks at the surface; and (N,) float32 0..1, how much that direction means."""
        slope = normals @ self.axis
        up = self.axis + 0.15 * slope[:, None] * self._on(points)
        line, strength = self._tube(points, normals)
        line = line * np.where((line * up).sum(axis=1) < 0, -1, 1)[:, None]
        up = up * (1 - strength)[:, None] + 2 * line * strength[:, None]
        right = np.cross(up, normals)
        right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
        steady = np.maximum(strength, 1 if self.middle is not None else np.clip(2 - 2 * slope**2, 0, 1))
        return np.stack([right, np.cross(normals, right)], axis=1).astype(np.float32), steady.astype(
            np.float32
        )

    def _on(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) or (3,) unit: the way that patterns take over level faces."""
        if self.middle is None:
            return self.away
        inward = self.middle - points
        inward -= (inward @ self.axis)[:, None] * self.axis
        return inward / np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)

    def _tube(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tree, lines, strength = self._lines
        _, near = tree.query(np.hstack([points, 0.1 * normals]), workers=-1)
        return lines[near], strength[near]

    @cached_property
    def _lines(self) -> tuple[cKDTree, np.ndarray, np.ndarray]:
        """Some points with their normals, the lines of the tubes there, and how much of a tube it is."""
        some = np.linspace(0, len(self.points) - 1, min(SOME, len(self.points))).astype(int)
        points, normals = self.points[some], self.normals[some].astype(np.float64)
        near = cKDTree(points).query_ball_point(points, RADIUS, workers=-1, return_sorted=False)
        return cKDTree(np.hstack([points, 0.1 * normals])), *_tubes(
            normals[np.concatenate(near)], np.array([len(index) for index in near])
        )


def _tubes(normals: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) unit lines and (P,) 0..1 how much of a tube there is, for P points, given the unit normals (M,
    3) around them, those of one point after those of the other, and the ``count`` (P,) of each.

    Where normals lie in one plane, the surface runs straight across that plane; unless they are of two
    directions only, as beside an edge, along which nothing has to run. Kurtosis less squared skewness is 1
    for two values, and more for all else (Pearson 1916).
    """
    first = np.r_[0, np.cumsum(count)[:-1]]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, first) / count.reshape(-1, *[1] * (values.ndim - 1))

    values, vectors = np.linalg.eigh(mean(normals[:, :, None] * normals[:, None, :]))
    flat = np.clip(1.4 - 5 * values[:, 0] / np.maximum(values[:, 1], 1e-9), 0, 1) * np.clip(
        values[:, 1] / 0.05 - 1, 0, 1
    )
    line, middle = (np.repeat(vector, count, axis=0) for vector in (vectors[:, :, 0], mean(normals)))
    angle = np.arctan2((normals * np.cross(line, middle)).sum(axis=1), (normals * middle).sum(axis=1))
    angle -= np.repeat(mean(angle), count)
    second, third, fourth = (mean(angle**power) for power in (2, 3, 4))
    second = np.maximum(second, 1e-6)
    directions = fourth / second**2 - third**2 / second**3
    return vectors[:, :, 0], flat * np.clip((directions - TWO) / (MANY - TWO), 0, 1)


def main_axis(points: np.ndarray, normals: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """(3,) unit: the axis around which the known colours (N, 3) of points (N, 3) repeat best; upright unless
    another is much better."""
    centred = points - points.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    candidates = [np.array([0.0, 0, 1]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), *vectors.T]
    scores = [explained(around(axis, points, normals), points, colors) for axis in candidates]
    best = int(np.argmax(scores))
    return candidates[best] if scores[best] > scores[0] + 0.1 else candidates[0]


def middle_of_revolution(axis: np.ndarray, points: np.ndarray, normals: np.ndarray) -> np.ndarray | None:
    """(3,) a point of the axis of a surface of revolution, parallel to ``axis`` (3,): most normals (N, 3) at
    points (N, 3) meet it. None for other surfaces.

    The place is fitted by reweighted least squares, so that a spout and a handle do not move it.
    """
    across = np.linalg.svd(axis[None])[2][1:]
    place, normal = points @ across.T, normals @ across.T
    steep = np.linalg.norm(normal, axis=1)
    some = steep > STEEP
    if not some.any():
        return None
    place, normal = place[some], normal[some] / steep[some, None]
    beside = np.column_stack([-normal[:, 1], normal[:, 0]])
    along, weight = (beside * place).sum(axis=1), np.ones((len(place), 1))
    for _ in range(FITS):
        middle = np.linalg.lstsq(weight * beside, weight[:, 0] * along, rcond=None)[0]
        missed = np.abs(along - beside @ middle)
        weight = 1 / np.sqrt(1 + np.square(missed / MISSED))[:, None]
    meeting = missed < ASIDE * np.linalg.norm(place - middle, axis=1)
    return middle @ across if meeting.mean() > MOST else None


def explained(feature: np.ndarray, points: np.ndarray, colors: np.ndarray) -> float:
    """Share of the variance of colours (N, 3) that is known from points (N, 3) far away whose features (N, G)
    are alike; may be < 0."""
    _, near = cKDTree(feature).query(feature, k=min(64, len(points)), workers=-1)
    far = np.linalg.norm(points[near] - points[:, None], axis=2) > 0.1
    some = far.sum(axis=1) > 4
    if some.mean() < 0.2:
        return 0.0
    weight = far[some] / far[some].sum(axis=1, keepdims=True)
    mean = np.einsum("nk,nkc->nc", weight, colors[near[some]])
    return 1 - float(
        np.square(colors[some] - mean).sum()
        / max(np.square(colors[some] - colors[some].mean(axis=0)).sum(), 1e-9)
    )


def around(axis: np.ndarray, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N, 3): what does not change when a point (N, 3) is turned around an axis: height, slope and distance
    from it."""
    height = points @ axis
    distance = np.linalg.norm(points - height[:, None] * axis, axis=1)
    return np.column_stack([height, 0.05 * (normals @ axis), 0.3 * distance])
