"""Half of a body, cut open along a plane: completed by its mirror image."""

from dataclasses import dataclass, replace

import numpy as np

from .copies import lay_side_by_side
from .edges import border_edges
from .prepare import find_box, weld
from .surface import Surface
from .tiles import spread_tiles

PLANE_TOLERANCE = 2e-3
"""Distance from a plane, in units of the mesh's longest side, up to which a point lies on it."""

MIN_OPEN_SHARE = 0.3
"""Fraction of all open borders that lies on the plane at least."""

MIN_OPEN_LENGTH = 0.2
"""Length of the borders on the plane at least, in units of the mesh's longest side."""

MIN_DEPTH = 0.05
"""Extent of the mesh across the plane at least: a sheet in a plane has no other half."""


WHOLE_PAINTED = "The mesh is half of a body; the whole was painted, with its mirror image."


@dataclass(frozen=True)
class Completion:
    """A surface with its mirror image, as one.

    Attributes:
        surface: the whole, normalised; the faces of the given half come first.
        center, size: the box of the whole in the space of the half: (3,) float64, and its longest side.
    """

    surface: Surface
    center: np.ndarray
    size: float

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the half in the space of the whole."""
        return (points - self.center) / self.size


def complete_half(surface: Surface, texture_size: int | None) -> Completion | None:
    """The whole of which a surface may be half: it is open along a plane and has nothing beyond. None if
    there is no such plane, or copies share texels already.

    Args:
        texture_size: the job's; None if the surface's UVs are of no use.
    """
    plane = None if surface.shared_uvs is not None else find_open_plane(surface)
    if plane is None:
        return None
    normal, offset = plane
    distance = surface.vertices.astype(np.float64) @ normal - offset
    # What lies on the plane is moved onto it, so that both halves meet.
    vertices = surface.vertices - np.where(np.abs(distance) <= PLANE_TOLERANCE, distance, 0)[:, None] * normal
    mirrored = vertices - 2 * (vertices @ normal - offset)[:, None] * normal
    both = np.concatenate([vertices, mirrored])
    faces = np.concatenate([surface.faces, surface.faces[:, ::-1] + len(vertices)])
    center, size = find_box(both, faces)
    welded, faces = weld(((both - center) / size).astype(np.float32), faces)
    normals, slots = surface.corner_normals, surface.slots
    turned = (normals - 2 * (normals @ normal)[..., None] * normal)[:, ::-1]
    uvs = spread_tiles(surface.corner_uvs, surface.tiles)
    whole = replace(
        surface,
        notes=(*surface.notes, WHOLE_PAINTED),
        vertices=welded,
        faces=faces,
        corner_normals=np.concatenate([normals, turned]).astype(np.float32),
        corner_uvs=np.concatenate([uvs, uvs[:, ::-1]]),
        job_faces=np.tile(surface.job_faces, 2),
        slots=None if slots is None else np.tile(slots, 2),
    )
    if texture_size is not None:
        whole = lay_side_by_side(whole, np.repeat([0, 1], len(surface.faces)), texture_size)
    return Completion(whole, center, size)


def find_open_plane(surface: Surface) -> tuple[np.ndarray, float] | None:
    """``(normal (3,) float64, offset)`` of the plane ``normal @ point = offset`` on which the surface's open
    borders end, and beyond which it has nothing; the one with the longest borders. None if there is none."""
    used = surface.vertices[np.unique(surface.faces)].astype(np.float64)
    borders = border_edges(surface.faces)
    if len(borders) == 0:
        return None
    ends = surface.vertices[borders].astype(np.float64)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    best, most = None, max(MIN_OPEN_SHARE * lengths.sum(), MIN_OPEN_LENGTH)
    for normal in (*np.eye(3), *-np.eye(3), *_fit_plane(ends.reshape(-1, 3))):
        offset = (used @ normal).min()
        on_plane = (ends @ normal <= offset + PLANE_TOLERANCE).all(axis=1)
        if (used @ normal).max() - offset >= MIN_DEPTH and (length := lengths[on_plane].sum()) > most:
            best, most = (normal, offset), length
    return best


def _fit_plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both unit normals of the plane nearest to points (N, 3)."""
    normal = np.linalg.eigh(np.cov(points, rowvar=False))[1][:, 0]
    return normal, -normal
