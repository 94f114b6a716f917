"""A mesh at one moment: copies of Blender's arrays, and what a job computes from them, on any thread. No
bpy."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...backend.api.job import MeshData
from ...backend.api.present_paint import PresentPaint

if TYPE_CHECKING:
    from .present_paint import PaintSource


@dataclass(frozen=True)
class MeshSnapshot:
    """The arrays of a mesh as Blender holds them.

    Attributes:
        positions: (V, 3) float32, in object space.
        corner_vertices: (L,) int32, the vertex of each loop.
        normals: (L, 3) float32, the shading normal of each loop, in object space.
        uvs: (L, 2) float32 of the layer to send, v up; None if there is no layer.
        polygons: (F,) int32, the polygon of each triangle; None if every polygon is a triangle.
        loop_triangles: (F, 3) int32, the loops of each triangle as Blender splits the polygons; None if no
            polygon has more than four corners.
        matrix: (4, 4) float64, from object space to the job's: world space with the object's origin at 0.
        slot_count: number of material slots.
        slots: (P,) int32, the material slot of each polygon, which need not exist; None if all are 0.
    """

    positions: np.ndarray
    corner_vertices: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray | None
    polygons: np.ndarray | None
    loop_triangles: np.ndarray | None
    matrix: np.ndarray
    slot_count: int
    slots: np.ndarray | None

    @cached_property
    def loops(self) -> np.ndarray:
        """(F, 3) int32, the loop of each triangle corner, counter-clockwise seen from outside in the job's
        space. Slow for a large mesh."""
        loops = triangle_loops(self.positions, self.corner_vertices, self.polygons, self.loop_triangles)
        return loops[:, [0, 2, 1]] if is_mirroring(self.matrix) else loops

    def mesh_data(self) -> MeshData:
        """The mesh as it is sent to the worker. Slow for a large mesh."""
        linear, offset = self.matrix[:3, :3], self.matrix[:3, 3]
        return MeshData(
            vertices=(self.positions @ linear.T + offset).astype(np.float32),
            faces=self.corner_vertices[self.loops],
            polygons=self.polygons,
            corner_normals=self._world_normals()[self.loops],
            corner_uvs=None if self.uvs is None else self.uvs[self.loops],
            slots=self._triangle_slots(),
        )

    def _triangle_slots(self) -> np.ndarray | None:
        """(F,) int32, the material slot that Blender shows for each triangle; None if all have the same."""
        if self.slots is None or self.slot_count < 2:
            return None
        slots = np.clip(self.slots, 0, self.slot_count - 1)
        if (slots == slots[0]).all():
            return None
        return slots if self.polygons is None else slots[self.polygons]

    def _world_normals(self) -> np.ndarray:
        """(L, 3) float32 unit normals in the job's space, or zero where there is none."""
        # The cofactor matrix transforms normals under any scale, including mirroring and zero, without an
        # inverse.
        x, y, z = self.matrix[:3, :3]
        cofactor = np.stack([np.cross(y, z), np.cross(z, x), np.cross(x, y)])
        if is_mirroring(self.matrix):
            cofactor = -cofactor
        normals = self.normals @ cofactor.T.astype(np.float32)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)


@dataclass(frozen=True)
class Connectivity:
    """The connectivity of an object's own mesh.

    Attributes:
        vertices: number of vertices.
        polygons: number of polygons.
        corner_vertices: (L,) int32, the vertex of each loop.
    """

    vertices: int
    polygons: int
    corner_vertices: np.ndarray

    def fingerprint(self, loops: np.ndarray | None) -> str:
        """A hash of the connectivity and of the loops (F, 3) int32 of its triangles, if given. Slow for a
        large mesh."""
        digest = hashlib.blake2b(np.array([self.vertices, self.polygons], np.int64), digest_size=32)
        digest.update(self.corner_vertices)
        if loops is not None:
            # If all polygons are triangles, the first one determines the winding of the others.
            only_triangles = len(self.corner_vertices) == 3 * self.polygons
            digest.update(np.ascontiguousarray(loops[:1] if only_triangles else loops))
        return digest.hexdigest()


@dataclass(frozen=True)
class TargetMesh:
    """The mesh of the object to texture, read when the button is pressed.

    Attributes:
        snapshot: the mesh that is sent to the worker.
        connectivity: of the object's own mesh.
        is_evaluated: whether the snapshot's triangles are those of the evaluated mesh, whose loops the
            object's own mesh does not have.
        uv_layer: name of the layer that was sent, "" if none.
        notes: sentences for the take's report.
        paint: the base colour that the mesh wears; None if it was not asked for.
    """

    snapshot: MeshSnapshot
    connectivity: Connectivity
    is_evaluated: bool
    uv_layer: str
    notes: tuple[str, ...] = ()
    paint: "PaintSource | None" = None

    @property
    def loops(self) -> np.ndarray | None:
        """(F, 3) int32, the loop of the object's own mesh at each triangle corner; None if the triangles are
        not those of that mesh."""
        return None if self.is_evaluated else self.snapshot.loops

    @cached_property
    def topology(self) -> str:
        """A hash of the connectivity of the object's own mesh and of :attr:`loops`."""
        return self.connectivity.fingerprint(self.loops)

    def present_paint(self) -> PresentPaint | None:
        """The paint as it is sent to the worker."""
        return self.paint and self.paint.make_paint(self.snapshot)

    def mesh_data(self) -> MeshData:
        """The mesh as it is sent to the worker. Also computes :attr:`topology`, so that reading it afterwards
        is fast."""
        mesh = self.snapshot.mesh_data()
        self.topology  # noqa: B018 (computed here, on the thread that sends)
        return mesh


def is_mirroring(matrix: np.ndarray) -> bool:
    """Whether the matrix (4, 4) turns a mesh inside out."""
    return bool(np.linalg.det(matrix[:3, :3]) < 0)


def triangle_loops(
    positions: np.ndarray,
    corner_vertices: np.ndarray,
    polygons: np.ndarray | None,
    loop_triangles: np.ndarray | None,
) -> np.ndarray:
    """Loops (F, 3) int32 of the triangles of a mesh; the arguments are those of :class:`MeshSnapshot`."""
    if polygons is None:
        return np.arange(len(corner_vertices), dtype=np.int32).reshape(-1, 3)
    return split_quads(positions, corner_vertices, polygons) if loop_triangles is None else loop_triangles


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
    # (b x c) . (d x c) > 0: b and d are on the same side of the diagonal a c, so the quad must be split along
    # b d.
    flipped = np.flatnonzero(is_second)[_dot(b, d) * _dot(c, c) > _dot(b, c) * _dot(c, d)]
    loops[flipped - 1, 2] += 1
    loops[flipped, 0] += 1
    return loops


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ni->n", a, b)
