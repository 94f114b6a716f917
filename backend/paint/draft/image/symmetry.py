"""The mesh's own plane of symmetry, where it has one."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ....mesh.voxels import Voxels

TOLERANCE = 1.5
"""Distance in voxels between a mirrored point and the surface up to which they agree."""


@dataclass(frozen=True)
class Mirror:
    """A plane ``normal . p = offset`` in normalised space."""

    normal: np.ndarray
    offset: float

    def points(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) float32 points on the other side."""
        return (points - 2 * (points @ self.normal - self.offset)[:, None] * self.normal).astype(np.float32)

    def directions(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) float32 directions as the mirror shows them."""
        return (directions - 2 * (directions @ self.normal)[:, None] * self.normal).astype(np.float32)


def find_mirror(voxels: Voxels, slots: np.ndarray | None, seed: int) -> Mirror | None:
    """The upright plane that maps the surface onto itself: left and right first, then front and back, then
    the main axes' planes.

    Args:
        voxels: of the surface.
        slots: (F,) int32 material slots of its faces, which have to fall onto themselves too; None where
            there is but one.
        seed: of the choice of places that are compared.
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
    chosen = np.random.default_rng(seed).choice(len(points), min(len(points), 5000), replace=False)
    # With the slot as a fourth coordinate, only what has the same slot is near.
    slot = np.zeros(len(points)) if slots is None else slots[voxels.face].astype(np.float64)
    tree = cKDTree(np.column_stack([points, slot]))
    for normal in normals:
        for offset in (centre @ normal, 0.0):
            mirror = Mirror(normal, float(offset))
            distance, _ = tree.query(
                np.column_stack([mirror.points(points[chosen]), slot[chosen]]), workers=-1
            )
            if (distance * voxels.resolution < TOLERANCE).mean() > 0.97:
                return mirror
    return None
