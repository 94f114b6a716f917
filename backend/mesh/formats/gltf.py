"""GLB and glTF files: their nodes, and the triangles of their primitives."""

from dataclasses import replace

import numpy as np

from ...api.errors import InvalidMesh
from ...api.job import check_triangle_count
from .gltf_accessors import COMPRESSIONS, Gltf, name_compression
from .gltf_material import find_material, find_texture, read_base_color, transform_uvs, uv_set
from .mesh_file import MeshFile, Node, Part, join_parts

TRIANGLES, STRIP, FAN = 4, 5, 6
"""Modes of a primitive; others are points and lines, which have no surface."""

INSTANCING = "EXT_mesh_gpu_instancing"
"""The extension by which one node stands for many."""

TRANSFORM_KEYS = ("matrix", "translation", "rotation", "scale")


def read_gltf(gltf: Gltf) -> MeshFile:
    """The triangles of the file's scene, every primitive a part.

    Raises:
        InvalidMesh: without faces, with too many of them, or compressed.
        ValueError: it contradicts itself.
    """
    nodes, matrices = _walk_scene(gltf)
    placed = [
        (number, primitive)
        for number, entry in enumerate(nodes)
        if "mesh" in entry
        for primitive in gltf.get("meshes", entry["mesh"])["primitives"]
        if primitive.get("mode", TRIANGLES) in (TRIANGLES, STRIP, FAN)
    ]
    if not placed:
        raise InvalidMesh(f"{gltf.path.name} holds no faces.")
    check_triangle_count(sum(_count_triangles(gltf, primitive) for _, primitive in placed))
    parts, faces, uvs = [], [], []
    first_vertex = first_face = 0
    for number, primitive in placed:
        own = _read_triangles(gltf, primitive)
        if not len(own):
            continue
        part, own_uvs = _read_part(gltf, primitive, number, matrices[number])
        count = len(part.positions)
        parts.append(
            replace(
                part,
                faces=np.arange(first_face, first_face + len(own), dtype=np.int32),
                vertices=slice(first_vertex, first_vertex + count),
            )
        )
        faces.append(own)
        uvs.append(own_uvs)
        first_vertex, first_face = first_vertex + count, first_face + len(own)
    if not parts:
        raise InvalidMesh(f"{gltf.path.name} holds no faces.")
    tree = tuple(_make_node(gltf, entry) for entry in nodes)
    return join_parts(parts, faces, uvs, y_up=True, nodes=tree)


def read_base_colors(gltf: Gltf, mesh: MeshFile) -> list[np.ndarray]:
    """(H, W, 3) uint8 sRGB: the base colour of each part of the mesh that was read from this file."""
    return [
        read_base_color(gltf, find_material(gltf, part.material), part.gltf_uvs is not None)
        for part in mesh.parts
    ]


def _walk_scene(gltf: Gltf) -> tuple[list[dict], list[np.ndarray]]:
    """The nodes of the scene, parents first, with the number of the parent as ``parent``, and where each is:
    (4, 4) float64 each."""
    entries = gltf.list("nodes")
    if gltf.list("scenes"):
        roots = gltf.get("scenes", gltf.tree.get("scene", 0)).get("nodes", [])
    else:
        below = {child for entry in entries for child in entry.get("children", ())}
        roots = [index for index in range(len(entries)) if index not in below]
    walked, matrices, seen = [], [], set()
    waiting = [(root, -1) for root in reversed(roots)]
    while waiting:
        index, parent = waiting.pop()
        if index in seen:
            raise ValueError("a node is in two places of its tree")
        seen.add(index)
        entry = gltf.get("nodes", index)
        if INSTANCING in entry.get("extensions", {}):
            raise InvalidMesh(
                f"{gltf.path.name} places its meshes by {INSTANCING}, which cannot be read. Export it again "
                "with an object for every instance."
            )
        above = np.eye(4) if parent < 0 else matrices[parent]
        matrices.append(above @ _local_matrix(entry))
        walked.append(entry | {"parent": parent})
        waiting += [(child, len(walked) - 1) for child in reversed(entry.get("children", ()))]
    return walked, matrices


def _local_matrix(entry: dict) -> np.ndarray:
    """(4, 4) float64: a node's place in its parent."""
    if "matrix" in entry:
        return np.array(entry["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = np.array(entry.get("rotation", (0, 0, 0, 1)), np.float64)
    if length := np.sqrt(x * x + y * y + z * z + w * w):
        x, y, z, w = x / length, y / length, z / length, w / length
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix[:3, :3] = rotation * np.array(entry.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = np.array(entry.get("translation", (0, 0, 0)), np.float64)
    return matrix


def _make_node(gltf: Gltf, entry: dict) -> Node:
    mesh = gltf.get("meshes", entry["mesh"]) if "mesh" in entry else {}
    transform = {key: entry[key] for key in TRANSFORM_KEYS if key in entry}
    return Node(str(entry.get("name", "")), str(mesh.get("name", "")), entry["parent"], transform)


def _count_triangles(gltf: Gltf, primitive: dict) -> int:
    """How many triangles a primitive has, without copying them."""
    count = len(gltf.read_accessor(primitive.get("indices", primitive["attributes"]["POSITION"])))
    return count // 3 if primitive.get("mode", TRIANGLES) == TRIANGLES else max(count - 2, 0)


def _read_triangles(gltf: Gltf, primitive: dict) -> np.ndarray:
    """(n, 3) int64 vertex indices of a primitive's triangles."""
    if COMPRESSIONS.keys() & primitive.get("extensions", {}).keys():
        raise name_compression(gltf.path, primitive["extensions"])
    if "indices" in primitive:
        indices = gltf.read_accessor(primitive["indices"])[:, 0].astype(np.int64)
    else:
        count = int(gltf.get("accessors", primitive["attributes"]["POSITION"])["count"])
        indices = np.arange(count, dtype=np.int64)
    mode = primitive.get("mode", TRIANGLES)
    if mode == TRIANGLES:
        if len(indices) % 3:
            raise ValueError("its last triangle has less than three corners")
        return indices.reshape(-1, 3)
    if len(indices) < 3:
        return np.empty((0, 3), np.int64)
    second, third = indices[1:-1], indices[2:]
    if mode == FAN:
        return np.column_stack([second, third, np.full_like(second, indices[0])])
    # Every second triangle of a strip is wound the other way.
    triangles = np.column_stack([indices[:-2], second, third])
    triangles[1::2] = triangles[1::2][:, [0, 2, 1]]
    # A strip jumps by repeating a vertex.
    a, b, c = triangles.T
    return triangles[(a != b) & (b != c) & (c != a)]


def _read_part(gltf: Gltf, primitive: dict, node: int, matrix: np.ndarray) -> tuple[Part, np.ndarray | None]:
    """A primitive's vertices, and their UVs (n, 2) float32 v up."""
    attributes = primitive["attributes"]
    positions = gltf.read_floats(attributes["POSITION"])
    if positions.shape[1] != 3:
        raise ValueError("its vertices do not have three coordinates each")
    normals = gltf.read_floats(attributes["NORMAL"]) if "NORMAL" in attributes else None
    if normals is not None and normals.shape != positions.shape:
        raise ValueError("its normals are not one for each vertex")
    material = find_material(gltf, primitive.get("material"))
    texture = find_texture(material)
    gltf_uvs = uvs = None
    if (chosen := f"TEXCOORD_{uv_set(texture)}") not in attributes:
        chosen, texture = "TEXCOORD_0", None
    if chosen in attributes:
        gltf_uvs = transform_uvs(texture, gltf.read_floats(attributes[chosen]))
        if gltf_uvs.shape != (len(positions), 2):
            raise ValueError("its texture coordinates are not two for each vertex")
        uvs = np.column_stack([gltf_uvs[:, 0], 1 - gltf_uvs[:, 1]])
    part = Part(
        node=node,
        faces=np.empty(0, np.int32),
        vertices=slice(0),
        positions=positions,
        normals=normals,
        matrix=matrix,
        material=primitive.get("material"),
        double_sided=bool(material.get("doubleSided", False)),
        gltf_uvs=gltf_uvs,
    )
    return part, uvs
