"""A mesh at one moment: copies of Blender's arrays, and what a job makes of them, on whatever thread has the time. No bpy here."""

from dataclasses import dataclass

import numpy as np

from ..backend.api.job import MeshData


@dataclass(frozen=True)
class Snapshot:
    """The arrays of a mesh as Blender holds them.

    Attributes:
        positions: (V, 3) float32, in the object's space.
        corner_vertices: (L,) int32, the vertex of each loop.
        normals: (L, 3) float32, the shading normal of each loop, in the object's space.
        uvs: (L, 2) float32 of the layer to send, v up; or None.
        loops: (F, 3) int32, the loop of each triangle corner, counter-clockwise seen from outside in the world.
        polygons: (F,) int32, the polygon of each triangle; None where every polygon is a triangle.
        matrix: (4, 4) float64, from the object's space to the world's.
    """

    positions: np.ndarray
    corner_vertices: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray | None
    loops: np.ndarray
    polygons: np.ndarray | None
    matrix: np.ndarray

    def mesh_data(self) -> MeshData:
        """The mesh as it travels to the worker, in world space. Takes a while for a large one."""
        linear, offset = self.matrix[:3, :3], self.matrix[:3, 3]
        return MeshData(
            vertices=(self.positions @ linear.T + offset).astype(np.float32),
            faces=self.corner_vertices[self.loops],
            polygons=self.polygons,
            corner_normals=self._world_normals()[self.loops],
            corner_uvs=None if self.uvs is None else self.uvs[self.loops])

    def _world_normals(self) -> np.ndarray:
        """(L, 3) float32, of unit length, or zero where there is none."""
        # The cofactor matrix carries normals through any scale, also a mirroring or a zero one, without an inverse.
        x, y, z = self.matrix[:3, :3]
        cofactor = np.stack([np.cross(y, z), np.cross(z, x), np.cross(x, y)])
        if mirrors(self.matrix):
            cofactor = -cofactor
        normals = self.normals @ cofactor.T.astype(np.float32)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)


def mirrors(matrix: np.ndarray) -> bool:
    """Whether what goes through the matrix (4, 4) comes out inside out."""
    return bool(np.linalg.det(matrix[:3, :3]) < 0)


def split_quads(positions: np.ndarray, corner_vertices: np.ndarray, polygons: np.ndarray) -> np.ndarray:
    """Loops (F, 3) int32 of the triangles of a mesh of triangles and quads, split as Blender splits them.

    Args:
        positions: (V, 3) float32.
        corner_vertices: (L,) int32, the vertex of each loop.
        polygons: (F,) int32, the polygon of each triangle.
    """
    triangles = np.bincount(polygons).astype(np.int32)
    starts = np.cumsum(triangles + 2, dtype=np.int32) - triangles - 2
    loops = np.repeat(starts, triangles)[:, None] + np.arange(3, dtype=np.int32)
    is_second = np.append(False, polygons[1:] == polygons[:-1])
    loops[:, 1] += is_second
    loops[:, 2] += is_second

    quads = starts[triangles == 2]
    a, b, c, d = (np.take(positions, np.take(corner_vertices, quads + corner), axis=0) for corner in range(4))
    b, c, d = b - a, c - a, d - a
    # (b x c) . (d x c) > 0: both other corners lie on one side of the diagonal a c, so the quad must be split along b d.
    flipped = np.flatnonzero(is_second)[_dot(b, d) * _dot(c, c) > _dot(b, c) * _dot(c, d)]
    loops[flipped - 1, 2] += 1
    loops[flipped, 0] += 1
    return loops


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ni->n", a, b)
