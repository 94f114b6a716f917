"""The orientation field: tangent directions that patterns follow, up the object's main axis and along
tubes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ....neighbors import nearest_neighbors, weighted_mean

NORMAL_WEIGHT = 0.1
"""How far apart opposite normals count in nearest-neighbour searches, in half longest sides of the mesh:
enough to tell the two sides of a thin wall apart."""

UPRIGHT = np.array([0.0, 0.0, 1.0])
"""The axis that things have if nothing else tells."""

SIMILAR_POINTS = 64
"""Points with the most similar features that a colour is predicted from in :func:`explained_variance`."""

FAR = 0.1
"""Longest sides of the mesh from which on a point counts as far away in :func:`explained_variance`."""


@dataclass(frozen=True)
class OrientationConfig:
    """Tuned numbers of the orientation field; lengths are in longest sides of the mesh."""

    tube_radius: float = 0.09
    """Radius of the neighbourhood whose normals tell a tube from a ball or a plane."""

    edge_kurtosis: float = 1.15
    """Kurtosis less squared skewness of the normals' angles up to which there is no tube: two directions have
    1, a bevelled edge a little more."""

    tube_kurtosis: float = 1.4
    """The same from which on there surely is a tube, even one of four sides; evenly spread angles have
    1.8."""

    shape_points: int = 6000
    """Points at which the surface is searched for tubes."""

    level_lean: float = 0.15
    """Weight, against the main axis, of the direction that patterns take over level faces."""

    axis_margin: float = 0.1
    """Fraction of the colours' variance that another main axis has to explain more than upright does."""

    round_margin: float = 0.4
    """The same for another one than the axis of a surface of revolution."""


@dataclass(frozen=True)
class OrientationField:
    """A tangent frame for any point of a surface.

    Attributes:
        points, normals: (N, 3) float32 of the surface, evenly spread, normalised space; normals outward.
        axis: (3,) unit, the direction that counts as up.
        level_direction: (3,) unit, horizontal: where the reference's camera looks. Patterns follow it over
            level faces, away from what the camera sees.
        center: (3,) a point on the axis of a surface of revolution, see :mod:`.revolution`: there
            patterns on level faces run towards it. None for other surfaces.
        config: tuned numbers.
    """

    points: np.ndarray
    normals: np.ndarray
    axis: np.ndarray
    level_direction: np.ndarray
    center: np.ndarray | None
    config: OrientationConfig = OrientationConfig()

    def tangent_frames(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tangent frames of points (N, 3) with normals (N, 3).

        Returns:
            (N, 2, 3) float32 unit tangents: to the right and upwards, seen from outside. And (N,) float32
            0..1, how much that direction means.
        """
        slope = normals @ self.axis
        up = self.axis + self.config.level_lean * slope[:, None] * self._level_directions(points)
        # A tube's line takes over from the main axis, in the direction that is closer to it.
        line, strength = self._tube_directions(points, normals)
        line = line * np.where((line * up).sum(axis=1) < 0, -1, 1)[:, None]
        up = up * (1 - strength)[:, None] + 2 * line * strength[:, None]
        right = np.cross(up, normals)
        right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
        frames = np.stack([right, np.cross(normals, right)], axis=1)
        # Level faces have no direction, except on a surface of revolution.
        wall = 1 if self.center is not None else np.clip(2 - 2 * slope**2, 0, 1)
        return frames.astype(np.float32), np.maximum(strength, wall).astype(np.float32)

    def _level_directions(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) or (3,) unit: the direction that patterns take over level faces."""
        if self.center is None:
            return self.level_direction
        inward = self.center - points
        inward -= (inward @ self.axis)[:, None] * self.axis
        return inward / np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)

    def _tube_directions(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) lines of the tubes at points and (N,) 0..1, how much of a tube there is."""
        tree, lines, strength = self._tube_index
        _, near = tree.query(position_normal_features(points, normals), workers=-1)
        return lines[near], strength[near]

    @cached_property
    def _tube_index(self) -> tuple[cKDTree, np.ndarray, np.ndarray]:
        """A tree of some points with their normals, the lines of the tubes there, and how much of a tube it
        is."""
        count = min(self.config.shape_points, len(self.points))
        some = np.linspace(0, len(self.points) - 1, count).astype(int)
        points, normals = self.points[some], self.normals[some].astype(np.float64)
        radius = self.config.tube_radius
        near = cKDTree(points).query_ball_point(points, radius, workers=-1, return_sorted=False)
        counts = np.array([len(index) for index in near])
        lines, strength = _fit_tubes(normals[np.concatenate(near)], counts, self.config)
        return cKDTree(position_normal_features(points, normals)), lines, strength


def position_normal_features(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N, 6) features of points whose distances keep the two sides of a thin wall apart."""
    return np.hstack([points, NORMAL_WEIGHT * normals])


def _fit_tubes(
    normals: np.ndarray, count: np.ndarray, config: OrientationConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Lines of tubes, from the normals around points.

    Where normals lie in one plane, the surface runs straight across that plane; unless they have two
    directions only, as beside an edge, along which no pattern has to run. Kurtosis less squared skewness is 1
    for two values, and more for all else (Pearson 1916).

    Args:
        normals: (M, 3) unit normals around P points, those of one point after those of the other.
        count: (P,) the number of normals around each.
        config: tuned numbers.

    Returns:
        (P, 3) unit lines, and (P,) 0..1 how much of a tube there is.
    """
    first = np.r_[0, np.cumsum(count)[:-1]]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, first) / count.reshape(-1, *[1] * (values.ndim - 1))

    # Eigenvalues of the normals' covariance (P, 3, 3): the smallest is 0 where they lie in one plane.
    values, vectors = np.linalg.eigh(mean(normals[:, :, None] * normals[:, None, :]))
    flat = np.clip(1.4 - 5 * values[:, 0] / np.maximum(values[:, 1], 1e-9), 0, 1) * np.clip(
        values[:, 1] / 0.05 - 1, 0, 1
    )
    # Angles (M,) of the normals in that plane, about their mean.
    line, middle = (np.repeat(vector, count, axis=0) for vector in (vectors[:, :, 0], mean(normals)))
    angle = np.arctan2((normals * np.cross(line, middle)).sum(axis=1), (normals * middle).sum(axis=1))
    angle -= np.repeat(mean(angle), count)
    # Their moments tell two directions from many.
    second, third, fourth = (mean(angle**power) for power in (2, 3, 4))
    second = np.maximum(second, 1e-6)
    kurtosis = fourth / second**2 - third**2 / second**3
    many = (kurtosis - config.edge_kurtosis) / (config.tube_kurtosis - config.edge_kurtosis)
    return vectors[:, :, 0], flat * np.clip(many, 0, 1)


def find_main_axis(
    points: np.ndarray,
    normals: np.ndarray,
    colors: np.ndarray,
    config: OrientationConfig = OrientationConfig(),
    revolution: np.ndarray | None = None,
) -> np.ndarray:
    """(3,) unit: the axis around which the known colours (N, 3) of points (N, 3) repeat best; that of a
    surface of revolution (3,), else upright, unless another is much better."""
    likely = UPRIGHT if revolution is None else revolution
    margin = config.axis_margin if revolution is None else config.round_margin
    centred = points - points.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    candidates = [likely, UPRIGHT, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), *vectors.T]
    scores = [explained_variance(ring_features(axis, points, normals), points, colors) for axis in candidates]
    best = int(np.argmax(scores))
    return candidates[best] if scores[best] > scores[0] + margin else candidates[0]


def explained_variance(features: np.ndarray, points: np.ndarray, colors: np.ndarray) -> float:
    """Fraction of the variance of colours (N, 3) that is known from points (N, 3) far away whose features (N,
    G) are similar; may be < 0."""
    _, near = nearest_neighbors(features, features, SIMILAR_POINTS)
    far = np.linalg.norm(points[near] - points[:, None], axis=2) > FAR
    some = far.sum(axis=1) > 4
    if some.mean() < 0.2:
        return 0.0
    weight = far[some] / far[some].sum(axis=1, keepdims=True)
    mean = weighted_mean(colors, near[some], weight)
    return 1 - float(
        np.square(colors[some] - mean).sum()
        / max(np.square(colors[some] - colors[some].mean(axis=0)).sum(), 1e-9)
    )


def ring_features(axis: np.ndarray, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N, 3) features that do not change when points (N, 3) are rotated around an axis (3,): height, slope,
    and distance from it, each weighted by how much it tells one ring from the next."""
    height = points @ axis
    distance = np.linalg.norm(points - height[:, None] * axis, axis=1)
    return np.column_stack([height, 0.05 * (normals @ axis), 0.3 * distance])
