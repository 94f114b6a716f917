"""Surfaces of revolution, exact ones and nearly so: the axis, and what of the surface is round about it.

A point is round where the surface comes back to it as it is turned about the axis. That is asked of places
and not of normals, so a scan's noise, a dent or a handle leave the rest as round as it is.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
"""Turns by multiples of it are spread over the circle, and repeat no regular polygon."""


@dataclass(frozen=True)
class RevolutionConfig:
    """When a surface counts as round; lengths are in longest sides of the mesh."""

    points: int = 1500
    """Points that are turned while an axis is looked for."""

    turns: int = 9
    """Angles that each of them is turned by."""

    tolerance: float = 0.05
    """Fraction of its distance from the axis by which a turned point may miss the surface."""

    margin: float = 0.004
    """Distance by which it may miss it in addition."""

    min_roundness: float = 0.7
    """Fraction of the turns that have to bring a point onto the surface for it to count as round."""

    min_fraction: float = 0.6
    """Fraction of the surface that has to be round: a spout and a handle are not."""

    promising: float = 0.4
    """Mean roundness from which on an axis is refined."""

    refined: int = 2
    """Axes that are refined at most."""

    tilt: float = 0.1
    """Radians by which an axis is first tilted to refine it."""

    slope: float = 0.3
    """Shortest part across the axis of a unit normal that counts in the fit of a centre."""

    rounds: int = 10
    """Rounds of reweighted least squares in that fit."""

    scale: float = 0.03
    """Distance at which a normal that misses the axis counts half."""

    directions: int = 400
    """Axes through a ball that are compared by its colours."""

    ball_gain: float = 0.1
    """Fraction of the colours' variance that another axis through a ball has to explain more than upright."""


@dataclass(frozen=True)
class Revolution:
    """The axis of a surface of revolution.

    Attributes:
        axis: (3,) unit.
        center: (3,) a point on it, normalised space.
    """

    axis: np.ndarray
    center: np.ndarray

    def rotation(self, angle: float) -> np.ndarray:
        """(3, 3) float64: turns row vectors by an angle in radians about the axis: ``vectors @ rotation``."""
        x, y, z = self.axis
        cross = np.array([(0, -z, y), (z, 0, -x), (-y, x, 0)])
        return (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross).T

    def turn(self, points: np.ndarray, angle: float) -> np.ndarray:
        """(N, 3): points turned about the axis by an angle in radians."""
        return (points - self.center) @ self.rotation(angle) + self.center

    def radii(self, points: np.ndarray) -> np.ndarray:
        """(N,) distances of points (N, 3) from the axis."""
        offset = points - self.center
        return np.linalg.norm(offset - (offset @ self.axis)[:, None] * self.axis, axis=1)


class RoundSurface:
    """Points all over a surface, to find where turned points come to lie on it.

    Args:
        points, normals: (N, 3) float32, evenly spread over the surface, normalised space; normals outward.
        spacing: about the distance between them.
    """

    def __init__(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        spacing: float,
        config: RevolutionConfig = RevolutionConfig(),
    ):
        self.points, self.normals, self.spacing, self.config = points, normals, spacing, config
        self._tree = cKDTree(points)

    def land(
        self, revolution: Revolution, points: np.ndarray, normals: np.ndarray, angle: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (N, 3) with normals (N, 3), turned by an angle in radians and moved onto the surface.

        Returns:
            (N, 3) places, the nearest points of the surface (N,) int64, and (N,) float64 by how much the
            turned points missed it, as a fraction of what they may; infinite where no surface is near that
            faces as they do.
        """
        turned, facing = revolution.turn(points, angle), normals @ revolution.rotation(angle)
        allowed = self.config.tolerance * revolution.radii(points) + self.config.margin
        most = float(2 * allowed.max(initial=0) + 2 * self.spacing)
        distance, near = self._tree.query(turned, distance_upper_bound=most, workers=-1)
        far = near == len(self.points)
        near[far] = 0
        # Above the tangent plane of the nearest: points are too far apart to be compared themselves.
        height = ((turned - self.points[near]) * self.normals[near]).sum(axis=1)
        missed = np.abs(height) / allowed
        missed = np.maximum(missed, (distance - 2 * self.spacing) / allowed)
        missed[far | ((facing * self.normals[near]).sum(axis=1) < 0.2)] = np.inf
        return turned - height[:, None] * self.normals[near], near, missed

    def roundness(self, revolution: Revolution, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """(N,) float64 0..1: which fraction of the turns brings points (N, 3) onto the surface."""
        angles = GOLDEN_ANGLE * np.arange(1, self.config.turns + 1)
        return np.mean([self.land(revolution, points, normals, angle)[2] < 1 for angle in angles], axis=0)

    def find_revolution(self, shown: np.ndarray, colors: np.ndarray) -> Revolution | None:
        """The axis of the surface, if most of it is round: upright where that is so, else one of its box, its
        principal axes, or one that all normals meet. Of a ball, whose every axis is one, the axis around
        which the colours repeat best.

        Args:
            shown: (N,) bool, which points the image shows.
            colors: (N, 3) float32 of the points where it does.
        """
        config = self.config
        some = np.arange(0, len(self.points), max(1, len(self.points) // config.points))
        points, normals = self.points[some].astype(np.float64), self.normals[some].astype(np.float64)

        def rate(trial: Revolution) -> tuple[bool, float]:
            roundness = self.roundness(trial, points, normals)
            is_round = (roundness >= config.min_roundness).mean() >= config.min_fraction
            return bool(is_round), float(roundness.mean())

        trials = [self._center(axis, points, normals) for axis in _candidate_axes(points, normals)]
        rates = [rate(trial) for trial in trials]
        exact = [trial for trial, (is_round, _) in zip(trials, rates, strict=True) if is_round]
        if len(exact) >= 3 and _span(exact):
            return self._turn_to_colors(exact[0], shown, colors)
        if exact:
            return self._refine(exact[0], points, normals)
        for index in sorted(range(len(trials)), key=lambda index: -rates[index][1])[: config.refined]:
            if rates[index][1] < config.promising:
                break
            refined = self._refine(trials[index], points, normals)
            if rate(refined)[0]:
                return refined
        return None

    def _center(self, axis: np.ndarray, points: np.ndarray, normals: np.ndarray) -> Revolution:
        """The axis parallel to ``axis`` (3,) that most normals (N, 3) at points (N, 3) meet.

        It is fitted by reweighted least squares, so that a spout and a handle do not move it.
        """
        # Points (N, 2) and normals in the plane across the axis.
        across = np.linalg.svd(axis[None])[2][1:]
        place, normal = points @ across.T, normals @ across.T
        length = np.linalg.norm(normal, axis=1)
        some = length > self.config.slope
        if some.sum() < 3:
            return Revolution(axis, points.mean(axis=0))
        place, normal = place[some], normal[some] / length[some, None]
        # A line through each point along its normal: beside @ center = along.
        beside = np.column_stack([-normal[:, 1], normal[:, 0]])
        along, weight = (beside * place).sum(axis=1), np.ones((len(place), 1))
        for _ in range(self.config.rounds):
            center = np.linalg.lstsq(weight * beside, weight[:, 0] * along, rcond=None)[0]
            missed = np.abs(along - beside @ center)
            weight = 1 / np.sqrt(1 + np.square(missed / self.config.scale))[:, None]
        return Revolution(axis, center @ across + (points.mean(axis=0) @ axis) * axis)

    def _refine(self, start: Revolution, points: np.ndarray, normals: np.ndarray) -> Revolution:
        """The axis, tilted and moved until turned points (N, 3) miss the surface least, the far ones cut
        off."""
        across = np.linalg.svd(start.axis[None])[2][1:]
        some, angles = slice(None, None, 4), GOLDEN_ANGLE * np.array([1, 2, 4])

        def moved(step: np.ndarray) -> Revolution:
            axis = start.axis + self.config.tilt * step[:2] @ across
            return Revolution(
                axis / np.linalg.norm(axis), start.center + self.config.scale * step[2:] @ across
            )

        def cost(step: np.ndarray) -> float:
            trial = moved(step)
            missed = [self.land(trial, points[some], normals[some], angle)[2] for angle in angles]
            return float(np.minimum(missed, 3).mean())

        simplex = np.vstack([np.zeros(4), np.eye(4)])
        options = {"maxfev": 90, "xatol": 0.01, "fatol": 1e-4, "initial_simplex": simplex}
        best = minimize(cost, np.zeros(4), method="Nelder-Mead", options=options)
        return moved(best.x) if best.fun < cost(np.zeros(4)) - 0.01 else start

    def _turn_to_colors(self, ball: Revolution, shown: np.ndarray, colors: np.ndarray) -> Revolution:
        """The axis through a ball's middle around which the colours of what is ``shown`` repeat best."""
        offset = (self.points[shown] - ball.center).astype(np.float64)
        offset /= max(float(np.linalg.norm(offset, axis=1).max(initial=0)), 1e-9)
        values = colors[shown].astype(np.float64)

        def unexplained(axis: np.ndarray) -> float:
            return _variance_in_rings(offset @ axis, values)

        whole = max(float(values.var(axis=0).sum()), 1e-6)
        axes = _spread_axes(self.config.directions)
        best = axes[int(np.argmin([unexplained(axis) for axis in axes]))]
        across = np.linalg.svd(best[None])[2][1:]
        turned = minimize(
            lambda step: unexplained(_unit(best + 0.1 * step @ across)),
            np.zeros(2),
            method="Nelder-Mead",
            options={"maxfev": 60, "initial_simplex": [(0, 0), (1, 0), (0, 1)]},
        )
        axis = _unit(best + 0.1 * turned.x @ across)
        gain = (unexplained(ball.axis) - unexplained(axis)) / whole
        return Revolution(axis if gain > self.config.ball_gain else ball.axis, ball.center)


def _candidate_axes(points: np.ndarray, normals: np.ndarray) -> list[np.ndarray]:
    """Unit axes (3,) that are tried: upright, the other two of the box, the principal ones, and the one that
    the normals (N, 3) at points (N, 3) meet best."""
    centred = points - points.mean(axis=0)
    principal = np.linalg.eigh(centred.T @ centred)[1].T
    axes = [*np.eye(3)[[2, 0, 1]], *principal, _axis_of_normals(centred, normals)]
    # The end that is up: patterns do not stand on their heads.
    return [-axis if axis[np.abs(axis).argmax()] < 0 else axis for axis in axes]


def _axis_of_normals(points: np.ndarray, normals: np.ndarray, rounds: int = 6) -> np.ndarray:
    """(3,) unit: direction of the line that the normals (N, 3) at points (N, 3) meet best (Pottmann and
    Randrup 1998), those that miss it far counting less each round."""
    lines, weight = np.hstack([normals, np.cross(points, normals)]), np.ones(len(points))
    for _ in range(rounds):
        # A normal meets the line of direction a and moment m where a . (p x n) + m . n = 0.
        moment = (lines * weight[:, None]).T @ lines
        nn, pp, pn = moment[:3, :3], moment[3:, 3:], moment[3:, :3]
        to_moment = -np.linalg.pinv(nn, rcond=1e-6, hermitian=True) @ pn.T
        axis = np.linalg.eigh(pp + pn @ to_moment)[1][:, 0]
        missed = np.abs(lines @ np.concatenate([to_moment @ axis, axis]))
        weight = 1 / (1 + np.square(missed / max(float(np.median(missed)), 1e-6)))
    return axis


def _spread_axes(count: int) -> np.ndarray:
    """(count, 3) unit vectors, evenly over the upper half of a sphere."""
    height = (np.arange(count) + 0.5) / count
    angle, radius = GOLDEN_ANGLE * np.arange(count), np.sqrt(1 - np.square(height))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])


def _span(trials: list[Revolution]) -> bool:
    """Whether the axes point in three directions that are no one plane, as those through a ball do."""
    return float(np.linalg.svd(np.stack([trial.axis for trial in trials]))[1][2]) > 0.5


def _variance_in_rings(height: np.ndarray, colors: np.ndarray, rings: int = 48) -> float:
    """The variance of colours (N, 3) that is left within rings of one height (N,) -1..1 each."""
    ring = np.clip(((height + 1) * rings / 2).astype(int), 0, rings - 1)
    count = np.maximum(np.bincount(ring, minlength=rings), 1)
    square = np.bincount(ring, np.square(colors).sum(axis=1), rings)
    sums = [np.bincount(ring, channel, rings) for channel in colors.T]
    return float((square - np.square(sums).sum(axis=0) / count).sum() / len(colors))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
