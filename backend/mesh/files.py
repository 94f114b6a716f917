"""Mesh files without Blender: GLB, OBJ and PLY in, GLB and OBJ out."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial

from ..api.errors import InvalidMesh, StorageError
from ..api.job import MAX_TRIANGLES, MeshData, check_triangle_count
from .tiles import tile_numbers

READABLE_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")
WRITABLE_SUFFIXES = (".glb", ".obj")

Y_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
"""Rows that take a y-up position of glTF and OBJ to Z up; PLY and STL are Z up already."""

Maps = dict[str, Image.Image]
"""A material's textures by name: ``base_color``, and maybe ``metallic`` and ``roughness``, and ``alpha``;
others are left out."""


@dataclass(frozen=True)
class MeshFile:
    """A mesh in its file's own axes.

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

    def to_mesh_data(self) -> MeshData:
        """The mesh as a job takes it, Z up."""
        vertices = self.vertices @ Y_UP.T if self.y_up else self.vertices
        return MeshData(
            np.ascontiguousarray(vertices),
            self.faces,
            corner_uvs=None if self.uvs is None else self.uvs[self.faces],
        )


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh with its base colours.

    Attributes:
        mesh: with UVs, 0 where a geometry has none.
        images: (H, W, 3) uint8 sRGB each, repeated beyond UVs of 0..1; one pixel for a geometry in one
            colour.
        image_of: (F,) int, the image of each face.
    """

    mesh: MeshFile
    images: tuple[np.ndarray, ...]
    image_of: np.ndarray


def read_mesh(path: Path) -> MeshFile:
    """The triangles of a file, those of all its geometries in one mesh.

    Raises:
        InvalidMesh: not there, not readable, or without faces.
    """
    with _convert_read_errors(path):
        mesh = trimesh.util.concatenate(_load_geometries(path))
        uvs = getattr(mesh.visual, "uv", None)
        return _mesh_file(path, mesh.vertices, mesh.faces, uvs)


def read_textured(path: Path) -> TexturedMesh:
    """The triangles of a file with their base colours, all its geometries in one mesh, each with its own
    image.

    Raises:
        InvalidMesh: not there, not readable, without faces, or no geometry has a texture.
    """
    with _convert_read_errors(path):
        geometries = _load_geometries(path)
        images = tuple(map(_base_color, geometries))
        # trimesh's stand-in for a missing image is one colour, too.
        if not any(np.ptp(image, axis=(0, 1)).any() for image in images):
            raise InvalidMesh(
                f"{path.name} has no texture. Give its material a base colour image and its mesh UVs, and "
                "export both with it."
            )
        counts = np.array([len(geometry.vertices) for geometry in geometries])
        faces = [
            geometry.faces + start
            for geometry, start in zip(geometries, np.cumsum(counts) - counts, strict=True)
        ]
        uvs = [
            geometry.visual.uv if _has_texture(geometry) else np.zeros((len(geometry.vertices), 2))
            for geometry in geometries
        ]
        vertices = [geometry.vertices for geometry in geometries]
        mesh = _mesh_file(path, np.concatenate(vertices), np.concatenate(faces), np.concatenate(uvs))
        return TexturedMesh(mesh, images, np.repeat(np.arange(len(geometries)), [len(f) for f in faces]))


def write_mesh(
    path: Path, mesh: MeshFile, corner_uvs: np.ndarray | None, textures: Mapping[int, Maps]
) -> None:
    """Writes the mesh with its texture. A vertex is written once per UV that it has, as these formats
    require; positions and faces stay.

    Args:
        path: ``.glb`` or ``.obj``.
        mesh: as :func:`read_mesh` gave it.
        corner_uvs: (F, 3, 2) float32, or None to keep the file's own.
        textures: by UDIM tile. These formats have no tiles: the faces of each become a mesh with a material
            of their own.

    Raises:
        StorageError: the file cannot be written.
    """
    corners = mesh.uvs[mesh.faces] if corner_uvs is None else corner_uvs
    tiles = list(textures)
    # The faces of each tile become a mesh with a material of their own.
    place = (tile_numbers(corners)[:, None] == tiles).argmax(axis=1)
    scene = trimesh.Scene()
    for index, (tile, maps) in enumerate(textures.items()):
        name = f"OrbitTexture.{tile}" if len(tiles) > 1 else "OrbitTexture"
        scene.add_geometry(
            _build_submesh(mesh, corners, np.flatnonzero(place == index), maps, name, path.suffix.lower()),
            geom_name=name,
        )
    try:
        scene.export(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}). Choose another place or free some space."
        ) from error


def _build_submesh(
    mesh: MeshFile, corners: np.ndarray, chosen: np.ndarray, maps: Maps, name: str, suffix: str
) -> trimesh.Trimesh:
    """The chosen faces of a mesh, with a material."""
    # One vertex per position and UV: both are compared by their bits.
    vertex, corners = mesh.faces[chosen].ravel(), corners[chosen].reshape(-1, 2)
    _, first, index = np.unique(
        np.column_stack([vertex, corners.view(np.int32)]), axis=0, return_index=True, return_inverse=True
    )
    vertices = mesh.vertices[vertex[first]]
    if not mesh.y_up:
        vertices = vertices @ Y_UP
    material = _material(name, maps)
    if suffix == ".obj":
        material = material.to_simple()
    visual = trimesh.visual.TextureVisuals(uv=corners[first], material=material)
    return trimesh.Trimesh(vertices, index.reshape(-1, 3), visual=visual, process=False)


def _material(name: str, maps: Maps) -> PBRMaterial:
    """A material of glTF: roughness in green and metallic in blue of one image, alpha in that of the
    base colour."""
    color, alpha = maps["base_color"], maps.get("alpha")
    if alpha is not None:
        color = color.copy()
        color.putalpha(alpha)
    if "metallic" not in maps:
        return PBRMaterial(name=name, baseColorTexture=color, metallicFactor=0.0, roughnessFactor=0.6)
    packed = Image.merge("RGB", [Image.new("L", color.size), maps["roughness"], maps["metallic"]])
    return PBRMaterial(
        name=name,
        baseColorTexture=color,
        metallicRoughnessTexture=packed,
        metallicFactor=1.0,
        roughnessFactor=1.0,
        alphaMode="OPAQUE" if alpha is None else "BLEND",
    )


@contextmanager
def _convert_read_errors(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong while a file is read into an InvalidMesh."""
    try:
        yield
    except InvalidMesh:
        raise
    except MemoryError as error:
        raise InvalidMesh(f"{path.name} needs more memory than there is. Export it smaller.") from error
    except Exception as error:  # trimesh's readers raise whatever their parsers raise.
        raise InvalidMesh(f"{path.name} cannot be read ({error}). Export it again.") from error


def _load_geometries(path: Path) -> list[trimesh.Trimesh]:
    """The meshes of a file that have faces, each in its place, at least one."""
    if path.suffix.lower() not in READABLE_SUFFIXES:
        raise InvalidMesh(
            f"{path.name} is not a mesh file that can be read. Use one of {', '.join(READABLE_SUFFIXES)}."
        )
    if not path.is_file():
        raise InvalidMesh(f"There is no file {path}.")
    if path.suffix.lower() in (".glb", ".gltf"):
        _check_accessors(path)
    placed = _place_geometries(trimesh.load(path, force="scene", process=False))
    if not placed:
        raise InvalidMesh(f"{path.name} holds no faces.")
    check_triangle_count(sum(len(geometry.faces) for geometry, _ in placed))
    for geometry, _ in placed:
        _check_indices(geometry)
    return [geometry.copy().apply_transform(matrix) for geometry, matrix in placed]


def _check_accessors(path: Path) -> None:
    """Raises MemoryError if a glTF file asks for more zeros than any mesh needs: an accessor without a buffer
    view is all zeros, of any size in a file of any size (glTF 2.0, 5.1.1)."""
    with open(path, "rb") as file:
        data = file.read(20)
        text = file.read(int.from_bytes(data[12:16], "little")) if data[:4] == b"glTF" else data + file.read()
    accessors = json.loads(text).get("accessors", [])
    if sum(accessor["count"] for accessor in accessors if "bufferView" not in accessor) > 3 * MAX_TRIANGLES:
        raise MemoryError


def _place_geometries(scene: trimesh.Scene) -> list[tuple[trimesh.Trimesh, np.ndarray]]:
    """The meshes of a scene that have faces, each with its place (4, 4) in the world.

    Every node is visited once. trimesh's own ``dump`` walks from the root to each node, many times over: that
    takes minutes with a few hundred nested nodes.
    """
    children = defaultdict(list)
    for parent, child, edge in scene.graph.to_edgelist():
        children[parent].append((child, edge))
    placed, waiting = {}, [(scene.graph.base_frame, np.eye(4))]
    while waiting:
        node, world = waiting.pop()
        for child, edge in children.pop(node, ()):
            matrix = world @ np.asarray(edge.get("matrix", np.eye(4)), np.float64)
            waiting.append((child, matrix))
            geometry = scene.geometry.get(edge.get("geometry"))
            if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
                placed[child] = geometry, matrix
    return [placed[node] for node in scene.graph.nodes_geometry if node in placed]


def _check_indices(geometry: trimesh.Trimesh) -> None:
    """Raises ValueError if a face points at no vertex."""
    faces = np.asarray(geometry.faces)
    if faces.min() < 0 or faces.max() >= len(geometry.vertices):
        raise ValueError("a face points at a vertex that does not exist")


def _mesh_file(path: Path, vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray | None) -> MeshFile:
    """A mesh as trimesh has read it; ValueError if its arrays do not go together."""
    # What float32 cannot hold becomes infinite, and is later left out like other vertices without a place.
    with np.errstate(over="ignore", invalid="ignore"):
        vertices, uvs = np.asarray(vertices, np.float32), None if uvs is None else np.asarray(uvs, np.float32)
    if vertices.shape != (len(vertices), 3):
        raise ValueError("its vertices do not have three coordinates each")
    if uvs is not None and uvs.shape != (len(vertices), 2):
        raise ValueError("its texture coordinates are not two for each vertex")
    return MeshFile(vertices, np.asarray(faces, np.int32), uvs, _y_up(path))


def _y_up(path: Path) -> bool:
    """Whether a file's format has +Y up."""
    return path.suffix.lower() in (".glb", ".gltf", ".obj")


def _base_color_image(geometry: trimesh.Trimesh) -> Image.Image | None:
    """The image of a geometry's material, whichever kind of material its format makes; None without one."""
    material = getattr(geometry.visual, "material", None)
    return (
        material.baseColorTexture if isinstance(material, PBRMaterial) else getattr(material, "image", None)
    )


def _has_texture(geometry: trimesh.Trimesh) -> bool:
    """Whether a geometry has both an image and UVs for it."""
    return _base_color_image(geometry) is not None and geometry.visual.uv is not None


def _base_color(geometry: trimesh.Trimesh) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: a geometry's image, or one pixel in its colour."""
    material = getattr(geometry.visual, "material", geometry.visual)
    if isinstance(material, PBRMaterial):
        pixels = (
            np.asarray(_base_color_image(geometry).convert("RGB"))
            if _has_texture(geometry)
            else np.full((1, 1, 3), 255, np.uint8)
        )
        return (
            pixels
            if material.baseColorFactor is None
            else _multiply_linear(pixels, material.baseColorFactor[:3] / 255)
        )
    return (
        np.asarray(_base_color_image(geometry).convert("RGB"))
        if _has_texture(geometry)
        else np.uint8(material.main_color[:3]).reshape(1, 1, 3)
    )


def _multiply_linear(pixels: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """sRGB pixels (H, W, 3) uint8 times a linear colour (3,), as glTF defines it."""
    encoded = np.arange(256)[:, None] / 255
    linear = factor * np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    table = np.round(
        255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    ).astype(np.uint8)
    return np.stack([table[pixels[..., channel], channel] for channel in range(3)], axis=-1)
