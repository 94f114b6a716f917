"""A file's mesh as plain data: what a job needs of it, and what has to come out again unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ...api.job import MeshData

Y_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
"""Rows that take a y-up position of glTF and OBJ to Z up; PLY and STL are Z up already."""

Maps = dict[str, Image.Image]
"""A material's textures by name: ``base_color``, and maybe ``metallic`` and ``roughness``, and ``alpha``;
others are left out."""


@dataclass(frozen=True)
class Node:
    """A node of glTF, or an object of OBJ.

    Attributes:
        name: as in the file; empty without one.
        mesh_name: of glTF's mesh.
        parent: the number of its parent among :attr:`MeshFile.nodes`, -1 for a root.
        transform: its place as glTF has it: ``matrix``, or ``translation``, ``rotation`` and ``scale``.
    """

    name: str
    mesh_name: str = ""
    parent: int = -1
    transform: Mapping[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A primitive of glTF, or the faces of one object, group and material of OBJ.

    Attributes:
        node: the number of its node.
        faces: (n,) int32, its faces among those of the mesh.
        vertices: its vertices, of the mesh's; its faces use no others.
        positions: (m, 3) float32 in the node's space, as in the file.
        normals: (m, 3) float32, the same; None where the file has none.
        matrix: (4, 4) float64, from the node's space to the file's.
        group: the OBJ group.
        material: of the file: a number in glTF, a name in OBJ.
        double_sided: whether its back is seen, too.
        gltf_uvs: (m, 2) float32 v down, as glTF has them; None for other files, and without UVs.
    """

    node: int
    faces: np.ndarray
    vertices: slice
    positions: np.ndarray
    normals: np.ndarray | None = None
    matrix: np.ndarray = field(default_factory=lambda: np.eye(4))
    group: str = ""
    material: int | str | None = None
    double_sided: bool = False
    gltf_uvs: np.ndarray | None = None

    @property
    def mirrored(self) -> bool:
        """Whether the node's space is a mirrored one. Its faces are then turned over in the mesh's."""
        return bool(np.linalg.det(self.matrix[:3, :3]) < 0)


@dataclass(frozen=True)
class MeshFile:
    """A mesh in its file's own axes.

    Attributes:
        vertices: (V, 3) float32 in the file's own axes.
        faces: (F, 3) int32.
        uvs: (V, 2) float32 v up, 0 for a part without; None without any.
        y_up: whether the file's up is +Y.
        nodes: that have parts, or a node below them has.
        parts: all together hold every face once. Without any, all is one part.
        normals: (V, 3) float32 of a file without parts; None where it has none.
        points: (P, 3) float32, the file's own vertices, if a vertex with several UVs or normals is one in
            it; else None.
        point_of: (V,) int32, which of them each vertex is.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray | None
    y_up: bool
    nodes: tuple[Node, ...] = (Node(""),)
    parts: tuple[Part, ...] = ()
    normals: np.ndarray | None = None
    points: np.ndarray | None = None
    point_of: np.ndarray | None = None

    def to_mesh_data(self) -> MeshData:
        """The mesh as a job takes it, Z up."""
        vertices = self.vertices @ Y_UP.T if self.y_up else self.vertices
        return MeshData(
            np.ascontiguousarray(vertices),
            self.faces,
            corner_uvs=None if self.uvs is None else self.uvs[self.faces],
        )

    def list_parts(self) -> tuple[Part, ...]:
        """The parts; one of everything, if the file has none."""
        everything = np.arange(len(self.faces), dtype=np.int32)
        return self.parts or (Part(0, everything, slice(0, len(self.vertices)), self.vertices, self.normals),)


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh with its base colours.

    Attributes:
        mesh: with UVs, 0 where a part has none.
        images: (H, W, 3) uint8 sRGB each, repeated beyond UVs of 0..1; one pixel for a part in one colour.
        image_of: (F,) int, the image of each face.
    """

    mesh: MeshFile
    images: tuple[np.ndarray, ...]
    image_of: np.ndarray


def join_parts(parts: list[Part], faces: list[np.ndarray], uvs: list[np.ndarray | None], **more) -> MeshFile:
    """The mesh of parts whose nodes may be placed anywhere.

    Args:
        parts: their ``faces`` and ``vertices`` are those of the mesh.
        faces: (n, 3) of each part, indices of its own vertices, in its node's space.
        uvs: (m, 2) float32 v up, of each part, or None.
        more: the other attributes of the mesh.

    Raises:
        ValueError: a face points at a vertex that does not exist.
    """
    count = sum(len(part.faces) for part in parts)
    joined = np.empty((count, 3), np.int32)
    for part, own in zip(parts, faces, strict=True):
        check_indices(own, len(part.positions))
        placed = own + part.vertices.start
        joined[part.faces] = placed[:, ::-1] if part.mirrored else placed
    vertices = [place(part.positions, part.matrix) for part in parts]
    if all(own is None for own in uvs):
        joined_uvs = None
    else:
        joined_uvs = np.concatenate(
            [
                np.zeros((len(part.positions), 2), np.float32) if own is None else own
                for part, own in zip(parts, uvs, strict=True)
            ]
        )
    return MeshFile(np.concatenate(vertices), joined, joined_uvs, parts=tuple(parts), **more)


def place(positions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(n, 3) float32: positions moved by a matrix (4, 4); the same bits if that moves nothing."""
    if np.array_equal(matrix, np.eye(4)):
        return positions
    # What float32 cannot hold becomes infinite, and is later left out like other vertices without a place.
    with np.errstate(over="ignore", invalid="ignore"):
        moved = positions.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        return moved.astype(np.float32)


def place_normals(normals: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(n, 3) float32: unit normals moved by a matrix (4, 4); the same bits if that only moves them along."""
    linear = matrix[:3, :3]
    if np.array_equal(linear, np.eye(3)):
        return normals
    # The cofactors are the inverse transposed times the determinant, and exist without an inverse.
    cofactors = np.stack([np.cross(linear[(i + 1) % 3], linear[(i + 2) % 3]) for i in range(3)])
    moved = normals.astype(np.float64) @ cofactors.T * (np.sign(np.linalg.det(linear)) or 1)
    return (moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-30)).astype(np.float32)


def check_indices(faces: np.ndarray, count: int) -> None:
    """Raises ValueError if a face points at none of so many vertices."""
    if len(faces) and (faces.min() < 0 or faces.max() >= count):
        raise ValueError("a face points at a vertex that does not exist")
