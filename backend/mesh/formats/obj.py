"""OBJ files: polygons by object, group and material, and the base colours of their MTL files."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ...api.errors import InvalidMesh
from ...api.job import check_triangle_count
from .mesh_file import MeshFile, Node, Part, join_parts
from .triangulate import triangulate

Section = tuple[str, str, str]
"""Object, group and material of a face."""


@dataclass
class _Lines:
    """The lines of an OBJ file by what they say.

    Attributes:
        v, vt, vn: the numbers of each position, UV and normal.
        corners: the corners of each face.
        counts: how many positions, UVs and normals stand above each face.
        section: the number of its section.
        sections: all of them, numbered in their order.
        libraries: names of MTL files.
    """

    v: list[list[bytes]] = field(default_factory=list)
    vt: list[list[bytes]] = field(default_factory=list)
    vn: list[list[bytes]] = field(default_factory=list)
    corners: list[list[bytes]] = field(default_factory=list)
    counts: list[tuple[int, int, int]] = field(default_factory=list)
    section: list[int] = field(default_factory=list)
    sections: dict[Section, int] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)


def read_obj(path: Path) -> MeshFile:
    """The triangles of a file, a part for each object, group and material.

    Raises:
        InvalidMesh: without faces, or with too many.
        ValueError: it contradicts itself.
    """
    lines = _read_lines(path)
    if not lines.corners:
        raise InvalidMesh(f"{path.name} holds no faces.")
    points = _parse_numbers(lines.v, 3, "its vertices do not have three coordinates each")
    uvs = _parse_numbers(lines.vt, 2, "its texture coordinates are not two numbers each")
    normals = _parse_numbers(lines.vn, 3, "its normals do not have three coordinates each")
    sizes = np.array([len(corners) for corners in lines.corners], np.int64)
    check_triangle_count(int(np.maximum(sizes - 2, 0).sum()))
    corners = _parse_corners(lines, sizes, (len(points), len(uvs), len(normals)))
    triangles = triangulate(points, corners[:, 0], sizes)
    if not len(triangles):
        raise InvalidMesh(f"{path.name} holds no faces.")
    polygon = np.repeat(np.arange(len(sizes)), np.maximum(sizes - 2, 0))
    section = np.array(lines.section, np.int64)[polygon]
    return _join_sections(lines, corners[triangles], section, points, uvs, normals)


def read_base_colors(path: Path, mesh: MeshFile) -> list[np.ndarray]:
    """(H, W, 3) uint8 sRGB: the base colour of each part of the mesh that was read from this file: the image
    of its material, or one pixel in its colour."""
    materials = {}
    for library in _read_lines(path).libraries:
        if (path.parent / library).is_file():
            materials |= _read_materials(path.parent / library)
    grey = np.full((1, 1, 3), 102, np.uint8)
    return [materials.get(part.material, grey) for part in mesh.parts]


def _read_lines(path: Path) -> _Lines:
    lines = _Lines()
    name = group = material = ""
    for line in path.read_bytes().replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines():
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == b"v":
            lines.v.append(words[1:])
        elif key == b"vt":
            lines.vt.append(words[1:])
        elif key == b"vn":
            lines.vn.append(words[1:])
        elif key in (b"f", b"fo"):
            if b"#" in line:
                words = line.partition(b"#")[0].split()
            lines.corners.append(words[1:])
            lines.counts.append((len(lines.v), len(lines.vt), len(lines.vn)))
            lines.section.append(lines.sections.setdefault((name, group, material), len(lines.sections)))
        elif key in (b"o", b"g", b"usemtl", b"mtllib"):
            value = line.partition(key)[2].strip().decode("utf-8", "replace")
            if key == b"o":
                name, group = value, ""
            elif key == b"g":
                group = value
            elif key == b"usemtl":
                material = value
            else:
                lines.libraries.append(value)
    return lines


def _parse_numbers(rows: list[list[bytes]], width: int, complaint: str) -> np.ndarray:
    """(n, width) float32 of lines that may have more numbers, as colours behind a position."""
    if any(len(row) < width for row in rows):
        # A UV of one number is one of a texture along a line.
        if width != 2 or any(len(row) < 1 for row in rows):
            raise ValueError(complaint)
        rows = [[*row, b"0"] for row in rows]
    if not rows:
        return np.empty((0, width), np.float32)
    with np.errstate(over="ignore"):
        return np.array([row[:width] for row in rows]).astype(np.float64).astype(np.float32)


def _parse_corners(lines: _Lines, sizes: np.ndarray, ends: tuple[int, int, int]) -> np.ndarray:
    """(C, 3) int64: the position, UV and normal of each corner from 0; -1 for a UV or normal that it has
    not. Negative numbers count back from the face's line."""
    tokens = [token for corners in lines.corners for token in corners]
    written = _split_tokens(tokens)
    counts = np.repeat(np.array(lines.counts, np.int64), sizes, axis=0)
    numbers = np.where(written < 0, counts + written, written - 1)
    missing = written == 0
    for column, what in enumerate(("vertex", "texture coordinate", "normal")):
        wrong = (numbers[:, column] < 0) | (numbers[:, column] >= ends[column])
        if (wrong & ~missing[:, column]).any() or (column == 0 and missing[:, 0].any()):
            raise ValueError(f"a face points at a {what} that does not exist")
    numbers[missing] = -1
    return numbers


def _split_tokens(tokens: list[bytes]) -> np.ndarray:
    """(n, 3) int64 of corners such as ``1``, ``1/2``, ``1//3`` and ``1/2/3``; 0 for what is left out."""
    slashes = {token.count(b"/") for token in tokens}
    written = np.zeros((len(tokens), 3), np.int64)
    if len(slashes) == 1 and not any(b"//" in token or token.endswith(b"/") for token in tokens):
        # All of one kind: the numbers of all corners at once.
        width = slashes.pop() + 1
        numbers = np.array(b"/".join(tokens).split(b"/")).astype(np.int64)
        written[:, : min(width, 3)] = numbers.reshape(-1, width)[:, :3]
        return written
    for row, token in zip(written, tokens, strict=True):
        for column, number in enumerate(token.split(b"/")[:3]):
            row[column] = int(number or 0)
    return written


def _join_sections(
    lines: _Lines,
    corners: np.ndarray,
    section: np.ndarray,
    points: np.ndarray,
    uvs: np.ndarray,
    normals: np.ndarray,
) -> MeshFile:
    """The mesh of triangles whose corners (T, 3, 3) each have a position, a UV and a normal."""
    nodes = {}
    parts, faces, part_uvs, point_of = [], [], [], []
    end = 0
    order = np.argsort(section, kind="stable").astype(np.int32)
    bounds = np.searchsorted(section[order], np.arange(len(lines.sections) + 1))
    for number, (name, group, material) in enumerate(lines.sections):
        chosen = order[bounds[number] : bounds[number + 1]]
        if not len(chosen):
            continue
        # One vertex for each position, UV and normal, in the order of the positions.
        rows, index = _unique_rows(corners[chosen].reshape(-1, 3))
        node = nodes.setdefault(name or group, len(nodes))
        own_normals = None if (rows[:, 2] < 0).any() else normals[rows[:, 2]]
        vertices = slice(end, end := end + len(rows))
        parts.append(
            Part(node, chosen, vertices, points[rows[:, 0]], own_normals, group=group, material=material)
        )
        faces.append(index.reshape(-1, 3))
        has_uv = rows[:, 1] >= 0
        part_uvs.append(np.where(has_uv[:, None], uvs[rows[:, 1]], 0) if has_uv.any() else None)
        point_of.append(rows[:, 0])
    return join_parts(
        parts,
        faces,
        part_uvs,
        y_up=True,
        nodes=tuple(map(Node, nodes)),
        points=points,
        point_of=np.concatenate(point_of).astype(np.int32),
    )


def _unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of (n, 3) int64 from -1, ascending, and (n,) which of them each row is."""
    _, ends_1, ends_2 = (int(end) + 2 for end in rows.max(axis=0))
    # One number per row is sorted many times as fast; a mesh of any size that is read fits into 64 bits.
    keys = ((rows[:, 0] + 1) * ends_1 + rows[:, 1] + 1) * ends_2 + rows[:, 2] + 1
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], inverse


def _read_materials(path: Path) -> dict[str, np.ndarray]:
    """(H, W, 3) uint8 sRGB of each material of an MTL file."""
    materials, lines = {}, defaultdict(dict)
    name = None
    for line in path.read_text("utf-8", "replace").splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "newmtl":
            name = value.strip()
        elif name is not None and key in ("Kd", "map_Kd"):
            lines[name][key] = value.strip()
    for name, entries in lines.items():
        # Options stand before the name of the image.
        image = entries.get("map_Kd", "")
        candidates = [path.parent / file for file in (image, image.split(" ")[-1]) if file]
        file = next((file for file in candidates if file.is_file()), None)
        if file is not None:
            materials[name] = np.asarray(Image.open(file, formats=IMAGE_FORMATS).convert("RGB"))
        else:
            color = np.array([float(number) for number in entries.get("Kd", "0.4 0.4 0.4").split()[:3]])
            materials[name] = np.uint8(np.clip(255 * color, 0, 255)).reshape(1, 1, 3)
    return materials


IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "TGA", "TIFF", "GIF")
"""What an image of a material may be."""
