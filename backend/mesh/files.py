"""Mesh files without Blender: GLB, OBJ and PLY in, GLB and OBJ out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from ..api.errors import InvalidMesh, StorageError
from ..api.job import MeshData
from .tiles import tile_numbers

READABLE, WRITABLE = (".glb", ".gltf", ".obj", ".ply", ".stl"), (".glb", ".obj")

Y_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
"""Rows that take a y-up position of glTF and OBJ to Z up; PLY and STL are Z up already."""


@dataclass(frozen=True)
class MeshFile:
    """A mesh as its file has it.

    Attributes:
        vertices: (V, 3) float32 in the file's own axes.
        faces: (F, 3) int32.
        uvs: (V, 2) float32, or None.
        y_up: whether the file's up is +Y.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray | None
    y_up: bool

    def data(self) -> MeshData:
        """The mesh as a job wants it."""
        vertices = self.vertices @ Y_UP.T if self.y_up else self.vertices
        return MeshData(np.ascontiguousarray(vertices), self.faces, corner_uvs=None if self.uvs is None else self.uvs[self.faces])


def read_mesh(path: Path) -> MeshFile:
    """The triangles of a file; all its parts in one, where it has several.

    Raises:
        InvalidMesh: not there, not readable, or without faces.
    """
    if path.suffix.lower() not in READABLE:
        raise InvalidMesh(f"{path.name} is not a mesh file that can be read. Use one of {', '.join(READABLE)}.")
    if not path.is_file():
        raise InvalidMesh(f"There is no file {path}.")
    try:
        mesh = trimesh.load(path, force="mesh", process=False)
    except Exception as error:  # trimesh's readers raise whatever their parsers raise.
        raise InvalidMesh(f"{path.name} cannot be read ({error}). Export it again.") from error
    if len(mesh.faces) == 0:
        raise InvalidMesh(f"{path.name} holds no faces.")
    uvs = getattr(mesh.visual, "uv", None)
    return MeshFile(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32),
                    None if uvs is None else np.asarray(uvs, np.float32), path.suffix.lower() in (".glb", ".gltf", ".obj"))


def write_mesh(path: Path, mesh: MeshFile, corner_uvs: np.ndarray | None, base_colors: Mapping[int, Image.Image]) -> None:
    """Writes the mesh with its texture. A vertex is written once per UV that it has, as these formats want it; positions and faces stay.

    Args:
        path: ``.glb`` or ``.obj``.
        mesh: as :func:`read_mesh` gave it.
        corner_uvs: (F, 3, 2) float32, or None to keep the file's own.
        base_colors: sRGB, by UDIM tile. These formats know no tiles: the faces of each become a mesh with a material of their own.

    Raises:
        StorageError: the file cannot be written.
    """
    corners = mesh.uvs[mesh.faces] if corner_uvs is None else corner_uvs
    tiles = list(base_colors)
    place = (tile_numbers(corners)[:, None] == tiles).argmax(axis=1)
    scene = trimesh.Scene()
    for index, (tile, image) in enumerate(base_colors.items()):
        name = f"OrbitTexture.{tile}" if len(tiles) > 1 else "OrbitTexture"
        scene.add_geometry(_textured(mesh, corners, np.flatnonzero(place == index), image, name, path.suffix.lower()), geom_name=name)
    try:
        scene.export(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error}). Choose another place or free some space.") from error


def _textured(mesh: MeshFile, corners: np.ndarray, chosen: np.ndarray, image: Image.Image, name: str, suffix: str) -> trimesh.Trimesh:
    """The chosen faces of a mesh with a material."""
    vertex, corners = mesh.faces[chosen].ravel(), corners[chosen].reshape(-1, 2)
    _, first, index = np.unique(np.column_stack([vertex, corners.view(np.int32)]), axis=0, return_index=True, return_inverse=True)
    vertices = mesh.vertices[vertex[first]]
    if not mesh.y_up:
        vertices = vertices @ Y_UP
    material = trimesh.visual.material.PBRMaterial(name=name, baseColorTexture=image, metallicFactor=0.0, roughnessFactor=0.6)
    if suffix == ".obj":
        material = material.to_simple()
    visual = trimesh.visual.TextureVisuals(uv=corners[first], material=material)
    return trimesh.Trimesh(vertices, index.reshape(-1, 3), visual=visual, process=False)
