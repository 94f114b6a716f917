"""Mesh files without Blender: GLB, glTF, OBJ, PLY and STL in, GLB and OBJ out."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..api.errors import InvalidMesh, StorageError
from .formats import obj
from .formats.gltf import read_base_colors, read_gltf
from .formats.gltf_accessors import open_gltf
from .formats.gltf_writer import write_gltf
from .formats.mesh_file import Maps, MeshFile, TexturedMesh
from .formats.obj_writer import write_obj
from .formats.ply import read_ply
from .formats.stl import read_stl
from .tiles import tile_numbers

READABLE_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")
WRITABLE_SUFFIXES = (".glb", ".obj")


def read_mesh(path: Path) -> MeshFile:
    """The triangles of a file, those of all its objects in one mesh, in their places.

    Raises:
        InvalidMesh: not there, not readable, or without faces.
    """
    with _convert_read_errors(path):
        match _check_suffix(path):
            case ".obj":
                return obj.read_obj(path)
            case ".ply":
                return read_ply(path)
            case ".stl":
                return read_stl(path)
            case _:
                return read_gltf(open_gltf(path))


def read_textured(path: Path) -> TexturedMesh:
    """The triangles of a GLB, glTF or OBJ file with their base colours, all its objects in one mesh, each
    with its own image.

    Raises:
        InvalidMesh: not there, not readable, without faces, or no part has a texture.
    """
    with _convert_read_errors(path):
        match _check_suffix(path):
            case ".glb" | ".gltf":
                gltf = open_gltf(path)
                mesh = read_gltf(gltf)
                images = read_base_colors(gltf, mesh)
            case ".obj":
                mesh = obj.read_obj(path)
                images = obj.read_base_colors(path, mesh)
            case _:
                mesh, images = read_mesh(path), []
        # An image in one colour is none.
        if mesh.uvs is None or not any(np.ptp(image, axis=(0, 1)).any() for image in images):
            raise InvalidMesh(
                f"{path.name} has no texture. Give its material a base colour image and its mesh UVs, and "
                "export both with it."
            )
        image_of = np.empty(len(mesh.faces), np.int64)
        for number, part in enumerate(mesh.parts):
            image_of[part.faces] = number
        return TexturedMesh(mesh, tuple(images), image_of)


def write_mesh(
    path: Path, mesh: MeshFile, corner_uvs: np.ndarray | None, textures: Mapping[int, Maps]
) -> None:
    """Writes the mesh with its texture. Names, vertices and normals are those of the mesh's file, to the bit;
    in GLB a vertex is repeated for each further UV that it has, as that format requires.

    Args:
        path: ``.glb`` or ``.obj``.
        mesh: as :func:`read_mesh` gave it.
        corner_uvs: (F, 3, 2) float32, or None to keep the file's own.
        textures: by UDIM tile. These formats have no tiles: the faces of each have a material of their own.

    Raises:
        StorageError: the file cannot be written; an earlier one stays.
    """
    corners = mesh.uvs[mesh.faces] if corner_uvs is None else corner_uvs
    tiles = list(textures)
    texture_of = (tile_numbers(corners)[:, None] == tiles).argmax(axis=1)
    names = [f"OrbitTexture.{tile}" if len(tiles) > 1 else "OrbitTexture" for tile in tiles]
    write = write_obj if path.suffix.lower() == ".obj" else write_gltf
    materials = dict(zip(names, textures.values(), strict=True))
    try:
        # Whole or not at all: an OBJ has further files beside it.
        with tempfile.TemporaryDirectory(prefix=".orbit-texture-", dir=path.parent) as folder:
            write(Path(folder) / path.name, mesh, corner_uvs, materials, texture_of)
            for file in Path(folder).iterdir():
                os.replace(file, path.parent / file.name)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}). Choose another place or free some space."
        ) from error


@contextmanager
def _convert_read_errors(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong while a file is read into an InvalidMesh."""
    try:
        yield
    except InvalidMesh:
        raise
    except MemoryError as error:
        raise InvalidMesh(f"{path.name} needs more memory than there is. Export it smaller.") from error
    except Exception as error:  # A damaged file makes its reader raise anything.
        raise InvalidMesh(f"{path.name} cannot be read ({error}). Export it again.") from error


def _check_suffix(path: Path) -> str:
    """The suffix of a file that is there and is a mesh file."""
    suffix = path.suffix.lower()
    if suffix not in READABLE_SUFFIXES:
        raise InvalidMesh(
            f"{path.name} is not a mesh file that can be read. Use one of {', '.join(READABLE_SUFFIXES)}."
        )
    if not path.is_file():
        raise InvalidMesh(f"There is no file {path}. Check its path.")
    return suffix
