"""The prepared mesh: cleaned, normalised, with normals and UVs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .edges import link_components, twin_half_edges
from .tiles import cells_of_faces


@dataclass(frozen=True)
class Surface:
    """Triangles in normalised space: bounding-box centre at 0, longest side 1, Z up, front = -Y.

    Attributes:
        vertices: (V, 3) float32, welded: one vertex per position.
        faces: (F, 3) int32, without degenerate triangles.
        corner_normals: (F, 3, 3) float32 unit shading normals.
        corner_uvs: (F, 3, 2) float32 in 0..1 of the atlas, v up.
        job_faces: (F,) int32, which of the job's triangles each face is.
        unwrapped: whether the UVs are ours; otherwise they are the job's own.
        notes: sentences for the user about what was found and repaired.
        tiles: number of the UDIM tile in each cell of the atlas, see :mod:`backend.mesh.tiles`.
        slots: (F,) int32, the material slot of each face; None where there is only one.
        shared_uvs: (F, 3, 2) float32 in 0..1 of the finished texture's atlas, in which copies share their
            texels (:mod:`backend.mesh.copies`), while ``corner_uvs`` has each layer in a cell of its own.
            None if no texels are shared.
    """

    vertices: np.ndarray
    faces: np.ndarray
    corner_normals: np.ndarray
    corner_uvs: np.ndarray
    job_faces: np.ndarray
    unwrapped: bool
    notes: tuple[str, ...] = ()
    tiles: tuple[int, ...] = (1001,)
    slots: np.ndarray | None = None
    shared_uvs: np.ndarray | None = None

    @cached_property
    def face_normals(self) -> np.ndarray:
        """(F, 3) float32 unit geometric normals."""
        return triangle_normals(self.vertices, self.faces)

    @cached_property
    def seam_faces(self) -> np.ndarray:
        """(F, 3) int: the faces with other vertex numbers in each layer, so that the edges at which copies
        meet, whose colours may differ, are no UV seams."""
        if self.shared_uvs is None:
            return self.faces
        cells = cells_of_faces(self.corner_uvs, self.tiles)
        layer = np.arange(len(self.tiles)) - np.searchsorted(self.tiles, self.tiles)
        return self.faces + layer[np.minimum(cells, len(layer) - 1), None] * len(self.vertices)

    @cached_property
    def wound_parts(self) -> np.ndarray:
        """(F,) int32 numbers from 0 of the groups of faces that are connected across edges and wound
        alike."""
        each = np.arange(len(self.faces))
        return link_components(np.hstack([twin_half_edges(self.faces).T // 3, [each, each]]))


def triangle_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3) float32 unit normals; zero for a triangle without area."""
    cross = _cross(vertices, faces)
    length = np.linalg.norm(cross, axis=1, keepdims=True)
    return (cross / np.maximum(length, 1e-30)).astype(np.float32)


def triangle_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) float64 areas."""
    return 0.5 * np.linalg.norm(_cross(vertices, faces), axis=1)


def _cross(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3) float64 along the normals, twice as long as the areas are large."""
    corners = vertices[faces].astype(np.float64)
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def smooth_normals(vertices: np.ndarray, faces: np.ndarray, crease_degrees: float = 45.0) -> np.ndarray:
    """(F, 3, 3) float32 corner normals: the vertex's area-weighted mean, or the face's own beyond the crease
    angle."""
    face = triangle_normals(vertices, faces)
    weighted = face * triangle_areas(vertices, faces)[:, None]
    vertex = np.stack(
        [np.bincount(faces.ravel(), np.repeat(weighted[:, axis], 3), len(vertices)) for axis in range(3)],
        axis=1,
    )
    vertex /= np.maximum(np.linalg.norm(vertex, axis=1, keepdims=True), 1e-30)
    corner = vertex[faces]
    smooth = np.einsum("fcx,fx->fc", corner, face) > np.cos(np.radians(crease_degrees))
    return np.where(smooth[..., None], corner, face[:, None]).astype(np.float32)
