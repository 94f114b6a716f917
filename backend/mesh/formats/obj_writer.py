"""OBJ files out: the vertices, normals and names of the mesh's file, with a texture in an MTL file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import numpy as np

from .mesh_file import Y_UP, Maps, MeshFile, place_normals


def write_obj(
    path: Path,
    mesh: MeshFile,
    corner_uvs: np.ndarray | None,
    textures: Mapping[str, Maps],
    texture_of: np.ndarray,
) -> None:
    """Writes an OBJ file with the mesh's own vertices in their order, its normals and names; beside it an MTL
    file and the base colours, named like it.

    Args:
        path: the file.
        mesh: of any file.
        corner_uvs: (F, 3, 2) float32 v up; None: the mesh's own.
        textures: each becomes a material of its name.
        texture_of: (F,) int, the number of each face's texture.
    """
    points = mesh.vertices if mesh.points is None else mesh.points
    point_of = np.arange(len(points)) if mesh.point_of is None else mesh.point_of
    corners = mesh.uvs[mesh.faces] if corner_uvs is None else corner_uvs
    uvs, uv_of = _unique_rows(corners.reshape(-1, 2))
    normals, normal_of = _collect_normals(mesh)
    columns = [1 + point_of[mesh.faces], 1 + uv_of.reshape(-1, 3)]
    if not mesh.y_up:
        points, normals = points @ Y_UP, normals @ Y_UP
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(f"mtllib {path.stem}.mtl\n")
        _write_numbers(file, "v", points)
        _write_numbers(file, "vt", uvs)
        _write_numbers(file, "vn", normals)
        _write_faces(file, mesh, columns, normal_of, list(textures), texture_of)
    _write_materials(path, textures)


def _collect_normals(mesh: MeshFile) -> tuple[np.ndarray, np.ndarray]:
    """The different normals (n, 3) of the mesh's vertices, and which of them each has: (V,), -1 for none."""
    normal_of = np.full(len(mesh.vertices), -1)
    found, end = [np.empty((0, 3), np.float32)], 0
    for part in mesh.list_parts():
        if part.normals is not None:
            placed = place_normals(part.normals, part.matrix)
            normal_of[part.vertices] = np.arange(end, end := end + len(placed))
            found.append(placed)
    normals, index = _unique_rows(np.concatenate(found))
    return normals, np.where(normal_of < 0, -1, np.append(index, -1)[normal_of])


def _unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of (n, k) float32, by their bits and in the order in which they come first, and (n,)
    which of them each row is."""
    bits = np.ascontiguousarray(rows).view(np.int32)
    _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return rows[first[order]], place[inverse]


def _write_numbers(file: TextIO, key: str, rows: np.ndarray) -> None:
    """A line for each row (n, k) float32, in the fewest digits that give the same bits again."""
    for row in rows.astype("U").tolist():
        file.write(f"{key} {' '.join(row)}\n")


def _write_faces(
    file: TextIO,
    mesh: MeshFile,
    columns: list[np.ndarray],
    normal_of: np.ndarray,
    materials: list[str],
    texture_of: np.ndarray,
) -> None:
    """The faces of all parts, each after the names of its object and group."""
    node = None
    for part in mesh.list_parts():
        if part.node != node and (name := mesh.nodes[part.node].name):
            file.write(f"o {name}\n")
        node = part.node
        if part.group:
            file.write(f"g {part.group}\n")
        numbers = [column[part.faces] for column in columns]
        if part.normals is not None:
            numbers.append(1 + normal_of[mesh.faces[part.faces]])
        for number, material in enumerate(materials):
            chosen = texture_of[part.faces] == number
            if not chosen.any():
                continue
            file.write(f"usemtl {material}\n")
            rows = np.stack([column[chosen] for column in numbers], axis=2)
            for a, b, c in rows.tolist():
                file.write(f"f {_join(a)} {_join(b)} {_join(c)}\n")


def _join(corner: list[int]) -> str:
    return "/".join(map(str, corner))


def _write_materials(path: Path, textures: Mapping[str, Maps]) -> None:
    """The MTL file and its images."""
    lines = []
    for name, maps in textures.items():
        image = f"{path.stem}{name.removeprefix('OrbitTexture')}.png"
        color, alpha = maps["base_color"], maps.get("alpha")
        if alpha is not None:
            color = color.copy()
            color.putalpha(alpha)
        color.save(path.with_name(image), "PNG")
        lines += [f"newmtl {name}", "Kd 1 1 1", "Ks 0 0 0", f"map_Kd {image}"]
    path.with_suffix(".mtl").write_text("\n".join(lines) + "\n", encoding="utf-8")
