"""Finds the mesh's own plane of symmetry, if it has one, and what lies opposite a point."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ....mesh.voxels import Voxels, interpolate


@dataclass(frozen=True)
class SymmetryConfig:
    """When a plane maps the surface onto itself."""

    # Distance between a mirrored point and the surface below which they agree, in longest sides of the mesh.
    tolerance: float = 4 / 192
    # Fraction of the points that have to agree.
    min_fraction: float = 0.95
    # Fraction of the points that have to agree before a plane is refined.
    min_refined_fraction: float = 0.7
    # The same for a plane that is not refined: an exact one needs none.
    exact_tolerance: float = 1.5 / 192
    min_exact_fraction: float = 0.97
    # Degrees by which a plane is turned about the vertical, to refine it.
    turns: tuple[float, ...] = (3.0, 1.0, 0.3)
    # By how much it is moved at the same time, in longest sides of the mesh.
    moves: tuple[float, ...] = (0.01, 0.003, 0.001)
    # Steps with each of them at most.
    max_steps: int = 6
    # Cosine between two planes' normals up to which they are different planes.
    same_plane: float = 0.9
    # Cosine between a plane's normal and the view from which on the plane lies across the view.
    across: float = 0.77
    # Random points that are compared, and of those the ones that are while a plane is refined.
    samples: int = 5000
    refine_samples: int = 1500


@dataclass(frozen=True)
class Plane:
    """A plane ``normal . p = offset`` in the mesh's normalised space."""

    normal: np.ndarray
    offset: float

    def reflect_points(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) float32: points mirrored at the plane."""
        return (points - 2 * (points @ self.normal - self.offset)[:, None] * self.normal).astype(np.float32)

    def reflect_directions(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) float32: directions mirrored at the plane."""
        return (directions - 2 * (directions @ self.normal)[:, None] * self.normal).astype(np.float32)


@dataclass(frozen=True)
class Mirror:
    """A plane of symmetry, and how far mirrored points of the surface lie beside it.

    Attributes:
        plane: of symmetry.
        voxels: of the surface.
        shift: (N, 4) float32: what moves the mirrored point of each voxel onto the surface, and 1 if there is
            surface near by, else 0.
    """

    plane: Plane
    voxels: Voxels
    shift: np.ndarray

    def opposite(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(opposite, exists)`` of points (N, 3) of the surface: (N, 3) float32 points of the surface
        opposite them, and (N,) bool, whether there are any."""
        shift = interpolate(self.voxels, self.shift, points)
        return self.plane.reflect_points(points) + shift[:, :3], shift[:, 3] > 0.5

    def reflect_directions(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) float32: directions mirrored at the plane."""
        return self.plane.reflect_directions(directions)


def find_mirrors(
    voxels: Voxels,
    slots: np.ndarray | None,
    towards: np.ndarray,
    seed: int,
    config: SymmetryConfig = SymmetryConfig(),
) -> list[Mirror]:
    """The upright planes that map the surface onto itself: first the one between left and right, then the
    one between front and back, then those of the horizontal principal axes. If none does so exactly, the
    first that a slight turn and move make nearly so, as where a face looks a little aside.

    Of several planes those across the view are left out: they would repeat behind the mesh what it shows in
    front, as a face on the back of a head.

    Args:
        voxels: of the surface.
        slots: (F,) int32 material slots of its faces, which have to map onto themselves too; None if there is
            only one.
        towards: (3,) unit, from the surface to the view.
        seed: of the random points that are compared.
        config: thresholds.
    """
    points = voxels.positions.astype(np.float64)
    chosen = np.random.default_rng(seed).choice(len(points), min(len(points), config.samples), replace=False)
    # With the slot as a fourth coordinate, only points of the same slot are near.
    slot = np.zeros(len(points)) if slots is None else slots[voxels.face].astype(np.float64)
    tree = cKDTree(np.column_stack([points, slot]))

    def measure(plane: Plane, some: np.ndarray) -> np.ndarray:
        """(M,) distances from some mirrored points to the surface, infinite where they are far."""
        mirrored = np.column_stack([plane.reflect_points(points[some]), slot[some]])
        return tree.query(mirrored, distance_upper_bound=2 * config.tolerance, workers=-1)[0]

    planes, found = _candidate_planes(points), []
    for plane in planes:
        if any(abs(plane.normal @ other.normal) > config.same_plane for other in found):
            continue
        if (measure(plane, chosen) < config.exact_tolerance).mean() > config.min_exact_fraction:
            found.append(plane)
    along = [plane for plane in found if abs(plane.normal @ towards) < config.across]
    for plane in planes[::2]:
        if found:
            break
        if (measure(plane, chosen) < config.tolerance).mean() < config.min_refined_fraction:
            continue
        plane = _refine(plane, lambda trial: measure(trial, chosen[: config.refine_samples]), config)
        if (measure(plane, chosen) < config.tolerance).mean() >= config.min_fraction:
            found.append(plane)
    return [_create_mirror(plane, voxels, tree, slot, config) for plane in along or found]


def _candidate_planes(points: np.ndarray) -> list[Plane]:
    """Upright planes through the mean of points (N, 3), and each of them through the origin, too."""
    centre = points.mean(axis=0)
    flat = points[:, :2] - centre[:2]
    _, axes = np.linalg.eigh(flat.T @ flat)
    normals = [
        np.array([1.0, 0, 0]),
        np.array([0, 1.0, 0]),
        np.array([*axes[:, 0], 0]),
        np.array([*axes[:, 1], 0]),
    ]
    return [Plane(normal, float(offset)) for normal in normals for offset in (centre @ normal, 0.0)]


def _refine(plane: Plane, measure: Callable[[Plane], np.ndarray], config: SymmetryConfig) -> Plane:
    """The plane, turned about the vertical and moved by ever smaller steps while the distances fall that
    mirrored points have to the surface, the far ones cut off."""

    def cost(trial: Plane) -> float:
        return float(np.minimum(measure(trial), 2 * config.tolerance).mean())

    best = cost(plane)
    for turn, move in zip(config.turns, config.moves, strict=True):
        for _ in range(config.max_steps):
            trials = [_turn(plane, sign * turn) for sign in (-1, 1)]
            trials += [Plane(plane.normal, plane.offset + sign * move) for sign in (-1, 1)]
            costs = [cost(trial) for trial in trials]
            if min(costs) >= best:
                break
            best, plane = min(costs), trials[int(np.argmin(costs))]
    return plane


def _turn(plane: Plane, degrees: float) -> Plane:
    """The plane turned about the vertical line through its point nearest to the origin."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = plane.normal
    return Plane(np.array([cosine * x - sine * y, sine * x + cosine * y, z]), plane.offset)


def _create_mirror(
    plane: Plane, voxels: Voxels, tree: cKDTree, slot: np.ndarray, config: SymmetryConfig
) -> Mirror:
    """The mirror at a plane; ``tree`` holds the voxels' positions and slots (N,)."""
    mirrored = plane.reflect_points(voxels.positions)
    distance, near = tree.query(np.column_stack([mirrored, slot]), workers=-1)
    # Onto the tangent plane of the nearest voxel: voxels are too coarse to move to their own points.
    height = ((voxels.positions[near] - mirrored) * voxels.normals[near]).sum(axis=1, keepdims=True)
    exists = distance < config.tolerance
    shift = np.column_stack([height * voxels.normals[near] * exists[:, None], exists])
    return Mirror(plane, voxels, shift.astype(np.float32))
