"""Finds the mesh's own plane of symmetry, if it has one."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ....mesh.voxels import Voxels


@dataclass(frozen=True)
class SymmetryConfig:
    """When a plane maps the surface onto itself."""

    # Distance in voxels between a mirrored point and the surface below which they agree.
    tolerance: float = 1.5
    # Fraction of the points that have to agree.
    min_fraction: float = 0.97
    # Random points that are compared.
    samples: int = 5000


@dataclass(frozen=True)
class Mirror:
    """A plane ``normal . p = offset`` in the mesh's normalised space."""

    normal: np.ndarray
    offset: float

    def reflect_points(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) float32: points mirrored at the plane."""
        return (points - 2 * (points @ self.normal - self.offset)[:, None] * self.normal).astype(np.float32)

    def reflect_directions(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) float32: directions mirrored at the plane."""
        return (directions - 2 * (directions @ self.normal)[:, None] * self.normal).astype(np.float32)


def find_mirror(
    voxels: Voxels, slots: np.ndarray | None, seed: int, config: SymmetryConfig = SymmetryConfig()
) -> Mirror | None:
    """The upright plane that maps the surface onto itself: first the one between left and right, then the one
    between front and back, then those of the horizontal principal axes.

    Args:
        voxels: of the surface.
        slots: (F,) int32 material slots of its faces, which have to map onto themselves too; None if there is
            only one.
        seed: of the random points that are compared.
        config: thresholds.
    """
    points = voxels.positions.astype(np.float64)
    centre = points.mean(axis=0)
    flat = points[:, :2] - centre[:2]
    _, axes = np.linalg.eigh(flat.T @ flat)
    normals = [
        np.array([1.0, 0, 0]),
        np.array([0, 1.0, 0]),
        np.array([*axes[:, 0], 0]),
        np.array([*axes[:, 1], 0]),
    ]
    chosen = np.random.default_rng(seed).choice(len(points), min(len(points), config.samples), replace=False)
    # With the slot as a fourth coordinate, only points of the same slot are near.
    slot = np.zeros(len(points)) if slots is None else slots[voxels.face].astype(np.float64)
    tree = cKDTree(np.column_stack([points, slot]))
    for normal in normals:
        for offset in (centre @ normal, 0.0):
            mirror = Mirror(normal, float(offset))
            distance, _ = tree.query(
                np.column_stack([mirror.reflect_points(points[chosen]), slot[chosen]]), workers=-1
            )
            if (distance * voxels.resolution < config.tolerance).mean() > config.min_fraction:
                return mirror
    return None
