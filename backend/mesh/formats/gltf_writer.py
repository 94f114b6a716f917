"""GLB files out: the nodes, positions and normals of the mesh's file, with a texture."""

import io
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from .gltf_accessors import CHUNK_BIN, CHUNK_JSON
from .mesh_file import Y_UP, Maps, MeshFile, Part

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
"""What a buffer view is for."""

FLOAT, UNSIGNED_INT = 5126, 5125


class _Builder:
    """A GLB file that grows."""

    def __init__(self):
        self.tree = defaultdict(list)
        self.binary = bytearray()

    def add(self, name: str, entry: dict) -> int:
        """Appends to a list at the top of the JSON; returns the number."""
        self.tree[name].append(entry)
        return len(self.tree[name]) - 1

    def add_view(self, data: bytes, **more) -> int:
        """Appends bytes; returns the number of their buffer view."""
        self.binary += bytes(-len(self.binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data), **more}
        self.binary += data
        return self.add("bufferViews", view)

    def add_array(self, values: np.ndarray, target: int, **more) -> int:
        """Appends (n,) or (n, 2 or 3) float32 or uint32; returns the number of the accessor."""
        component = FLOAT if values.dtype == np.float32 else UNSIGNED_INT
        kind = "SCALAR" if values.ndim == 1 else f"VEC{values.shape[1]}"
        view = self.add_view(np.ascontiguousarray(values).tobytes(), target=target)
        accessor = {"bufferView": view, "componentType": component, "count": len(values), "type": kind}
        return self.add("accessors", accessor | more)

    def add_texture(self, image: Image.Image) -> int:
        """Appends an image as PNG; returns the number of its texture."""
        data = io.BytesIO()
        image.save(data, "PNG")
        source = self.add("images", {"bufferView": self.add_view(data.getvalue()), "mimeType": "image/png"})
        return self.add("textures", {"source": source})

    def to_bytes(self) -> bytes:
        """The file."""
        self.binary += bytes(-len(self.binary) % 4)
        tree = {"asset": {"version": "2.0", "generator": "Orbit Texture"}, **self.tree}
        tree["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = b"".join(
            len(data).to_bytes(4, "little") + kind.to_bytes(4, "little") + data
            for kind, data in ((CHUNK_JSON, text), (CHUNK_BIN, bytes(self.binary)))
        )
        return b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunks)).to_bytes(4, "little") + chunks


def write_gltf(
    path: Path,
    mesh: MeshFile,
    corner_uvs: np.ndarray | None,
    textures: Mapping[str, Maps],
    texture_of: np.ndarray,
) -> None:
    """Writes a GLB file whose nodes have the mesh's names, places, positions and normals.

    Args:
        path: the file.
        mesh: of any file.
        corner_uvs: (F, 3, 2) float32 v up; None: the mesh's own.
        textures: each becomes a material of its name.
        texture_of: (F,) int, the number of each face's texture.
    """
    builder = _Builder()
    maps = [_add_maps(builder, texture) for texture in textures.values()]
    materials = {}
    primitives = defaultdict(list)
    for part in mesh.list_parts():
        attributes, faces = _add_vertices(builder, mesh, part, corner_uvs)
        for number, name in enumerate(textures):
            chosen = faces[texture_of[part.faces] == number]
            if not len(chosen):
                continue
            key = number, part.double_sided
            if key not in materials:
                sides = {"doubleSided": True} if part.double_sided else {}
                materials[key] = builder.add("materials", {"name": name, **maps[number], **sides})
            indices = builder.add_array(chosen.astype(np.uint32).ravel(), ELEMENT_ARRAY_BUFFER)
            primitives[part.node].append(
                {"attributes": attributes, "indices": indices, "material": materials[key]}
            )
    _add_nodes(builder, mesh, primitives)
    path.write_bytes(builder.to_bytes())


def _add_maps(builder: _Builder, maps: Maps) -> dict:
    """What a material says of a texture's maps: roughness lies in green and metallic in blue of one image,
    alpha in that of the base colour."""
    color, alpha = maps["base_color"], maps.get("alpha")
    if alpha is not None:
        color = color.copy()
        color.putalpha(alpha)
    surface = {"baseColorTexture": {"index": builder.add_texture(color)}}
    if "metallic" in maps:
        packed = Image.merge("RGB", [Image.new("L", color.size), maps["roughness"], maps["metallic"]])
        surface["metallicRoughnessTexture"] = {"index": builder.add_texture(packed)}
    else:
        surface |= {"metallicFactor": 0.0, "roughnessFactor": 0.6}
    return {"pbrMetallicRoughness": surface} | ({} if alpha is None else {"alphaMode": "BLEND"})


def _add_vertices(
    builder: _Builder, mesh: MeshFile, part: Part, corner_uvs: np.ndarray | None
) -> tuple[dict[str, int], np.ndarray]:
    """Adds a part's positions, normals and UVs; returns their accessors by attribute, and its faces (n, 3)
    among them."""
    faces = mesh.faces[part.faces] - part.vertices.start
    if corner_uvs is None:
        repeated = np.arange(len(part.positions))
        uvs = part.gltf_uvs
        if uvs is None:
            uvs = _turn_v(mesh.uvs[part.vertices])
    else:
        repeated, faces, uvs = split_vertices(faces, corner_uvs[part.faces], len(part.positions))
        uvs = _turn_v(uvs)
    positions, normals = part.positions[repeated], part.normals
    if not mesh.y_up:
        positions = positions @ Y_UP
    finite = positions[np.isfinite(positions).all(axis=1)]
    attributes = {
        "POSITION": builder.add_array(
            positions, ARRAY_BUFFER, min=finite.min(axis=0).tolist(), max=finite.max(axis=0).tolist()
        )
    }
    if normals is not None:
        normals = normals[repeated] if mesh.y_up else normals[repeated] @ Y_UP
        attributes["NORMAL"] = builder.add_array(normals, ARRAY_BUFFER)
    attributes["TEXCOORD_0"] = builder.add_array(uvs, ARRAY_BUFFER)
    return attributes, faces[:, ::-1] if part.mirrored else faces


def split_vertices(
    faces: np.ndarray, corner_uvs: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices that each have one UV. The first ``count`` are those that there are, in their order; behind
    them each is repeated for every further UV that it has. UVs are compared by their bits.

    Args:
        faces: (F, 3) int of ``count`` vertices.
        corner_uvs: (F, 3, 2) float32.

    Returns:
        ``repeated`` (n,) int, which vertex each is; ``faces`` (F, 3) int of them; ``uvs`` (n, 2) float32.
    """
    vertex, corners = faces.ravel(), np.ascontiguousarray(corner_uvs.reshape(-1, 2))
    rows = np.column_stack([vertex, corners.view(np.int32)])
    rows, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    # A vertex's first UV is its own, the others come behind.
    order = np.lexsort([first, rows[:, 0]])
    leads = np.ones(len(rows), bool)
    leads[order[1:]] = rows[order[1:], 0] != rows[order[:-1], 0]
    number = np.where(leads, rows[:, 0], count - 1 + np.cumsum(~leads))
    repeated = np.concatenate([np.arange(count), rows[~leads, 0]])
    uvs = np.zeros((len(repeated), 2), np.float32)
    uvs[number] = corners[first]
    return repeated, number[inverse].reshape(-1, 3), uvs


def _turn_v(uvs: np.ndarray) -> np.ndarray:
    """UVs (n, 2) float32 with v down instead of up."""
    return np.column_stack([uvs[:, 0], 1 - uvs[:, 1]])


def _add_nodes(builder: _Builder, mesh: MeshFile, primitives: dict[int, list[dict]]) -> None:
    """Adds the nodes that have primitives, and those above them."""
    kept = set()
    for number in primitives:
        while number >= 0 and number not in kept:
            kept.add(number)
            number = mesh.nodes[number].parent
    numbers = {number: index for index, number in enumerate(sorted(kept))}
    roots = []
    for number in numbers:
        node = mesh.nodes[number]
        entry = ({"name": node.name} if node.name else {}) | dict(node.transform)
        if number in primitives:
            name = node.mesh_name or node.name or "OrbitTexture"
            entry["mesh"] = builder.add("meshes", {"name": name, "primitives": primitives[number]})
        index = builder.add("nodes", entry)
        if node.parent < 0:
            roots.append(index)
        else:
            builder.tree["nodes"][numbers[node.parent]].setdefault("children", []).append(index)
    builder.add("scenes", {"nodes": roots})
    builder.tree["scene"] = 0
