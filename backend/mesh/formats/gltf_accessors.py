"""What a glTF 2.0 file stores: its JSON, its buffers and the arrays in them."""

import base64
import json
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...api.errors import InvalidMesh
from ...api.job import MAX_TRIANGLES

COMPRESSIONS = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
"""Extensions whose geometry only their own decoders read, and what they are called."""

COMPONENT_TYPES = {
    5120: np.dtype("<i1"),
    5121: np.dtype("<u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}

COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}

CHUNK_JSON, CHUNK_BIN = 0x4E4F534A, 0x004E4942


@dataclass
class Gltf:
    """A glTF file that is open.

    Attributes:
        path: of the file.
        tree: its JSON.
        binary: the binary chunk of a GLB file.
    """

    path: Path
    tree: dict
    binary: bytes = b""
    _buffers: dict[int, bytes] = field(default_factory=dict)

    def list(self, name: str) -> list[dict]:
        """A list at the top of the JSON; empty if it is not there."""
        return self.tree.get(name, [])

    def get(self, name: str, index: int) -> dict:
        """An entry of such a list.

        Raises:
            ValueError: there is none.
        """
        entries = self.list(name)
        if not isinstance(index, int) or not 0 <= index < len(entries):
            raise ValueError(f"it refers to number {index} of its {len(entries)} {name}")
        return entries[index]

    def read_accessor(self, index: int) -> np.ndarray:
        """(n, components) of an accessor as it is stored, without normalising.

        Raises:
            ValueError: it does not fit into its buffer.
            MemoryError: it has more elements than any mesh needs.
        """
        accessor = self.get("accessors", index)
        dtype = COMPONENT_TYPES[accessor["componentType"]]
        count, width = int(accessor["count"]), COMPONENTS[accessor["type"]]
        if "bufferView" in accessor:
            values = self._read_array(
                accessor["bufferView"], accessor.get("byteOffset", 0), count, width, dtype
            )
        else:
            # All zeros, of any size in a file of any size (5.1.1).
            if not 0 <= count <= 3 * MAX_TRIANGLES:
                raise MemoryError
            values = np.zeros((count, width), dtype)
        sparse = accessor.get("sparse")
        if sparse is None:
            return values
        places, changed, changes = sparse["indices"], sparse["values"], int(sparse["count"])
        where = self._read_array(
            places["bufferView"],
            places.get("byteOffset", 0),
            changes,
            1,
            COMPONENT_TYPES[places["componentType"]],
        )
        values = values.copy()
        values[where[:, 0]] = self._read_array(
            changed["bufferView"], changed.get("byteOffset", 0), changes, width, dtype
        )
        return values

    def read_floats(self, index: int) -> np.ndarray:
        """(n, components) float32 of an accessor, integers normalised if it says so."""
        values = self.read_accessor(index)
        if values.dtype.kind == "f" or not self.get("accessors", index).get("normalized", False):
            return np.ascontiguousarray(values, np.float32)
        scaled = values / np.float64(np.iinfo(values.dtype).max)
        return np.maximum(scaled, -1.0).astype(np.float32)

    def read_view(self, index: int) -> memoryview:
        """The bytes of a buffer view."""
        view = self.get("bufferViews", index)
        if COMPRESSIONS.keys() & view.get("extensions", {}).keys():
            raise name_compression(self.path, view["extensions"])
        start, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        data = self._read_buffer(view["buffer"])
        if start < 0 or length < 0 or start + length > len(data):
            raise ValueError("a buffer is shorter than its views")
        return memoryview(data)[start : start + length]

    def read_uri(self, uri: str) -> bytes:
        """The content of a data URI, or of a file beside this one."""
        if uri.startswith("data:"):
            head, _, data = uri.partition(",")
            return base64.b64decode(data) if head.endswith(";base64") else urllib.parse.unquote_to_bytes(data)
        if "://" in uri:
            raise ValueError(f"its data lie elsewhere, at {uri}; export it with all data in one file")
        path = self.path.parent / urllib.parse.unquote(uri)
        if not path.is_file():
            raise ValueError(f"the file {path.name}, which belongs to it, is not beside it")
        return path.read_bytes()

    def _read_buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            uri = self.get("buffers", index).get("uri")
            self._buffers[index] = self.binary if uri is None else self.read_uri(uri)
        return self._buffers[index]

    def _read_array(self, view: int, offset: int, count: int, width: int, dtype: np.dtype) -> np.ndarray:
        """(count, width) of a buffer view, whose elements may lie apart."""
        data, size = self.read_view(view), width * dtype.itemsize
        stride = int(self.get("bufferViews", view).get("byteStride", 0)) or size
        if (
            min(offset, count) < 0
            or stride < size
            or (count and offset + stride * (count - 1) + size > len(data))
        ):
            raise ValueError("an array does not fit into its buffer")
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))


def open_gltf(path: Path) -> Gltf:
    """Opens a GLB or glTF file.

    Raises:
        InvalidMesh: its geometry is compressed.
        ValueError: it is neither.
    """
    data = path.read_bytes()
    binary = b""
    if data[:4] == b"glTF":
        if int.from_bytes(data[4:8], "little") != 2:
            raise ValueError("it is not of version 2 of glTF")
        chunks = _split_chunks(data)
        text, binary = chunks.get(CHUNK_JSON, b""), chunks.get(CHUNK_BIN, b"")
    else:
        text = data
    tree = json.loads(text)
    if not isinstance(tree, dict):
        raise ValueError("its JSON is no glTF")
    if COMPRESSIONS.keys() & set(tree.get("extensionsRequired", ())):
        raise name_compression(path, tree["extensionsRequired"])
    return Gltf(path, tree, binary)


def name_compression(path: Path, extensions: list[str] | dict) -> InvalidMesh:
    """The error for a file whose geometry is compressed by one of these extensions."""
    names = sorted({COMPRESSIONS[name] for name in extensions if name in COMPRESSIONS})
    return InvalidMesh(
        f"The geometry in {path.name} is compressed with {' and '.join(names)}, which cannot be read. Export "
        "the file again without mesh compression."
    )


def _split_chunks(data: bytes) -> dict[int, bytes]:
    """The first chunk of each type in a GLB file."""
    chunks, start = {}, 12
    while start + 8 <= len(data):
        length, kind = (int.from_bytes(data[start + k : start + k + 4], "little") for k in (0, 4))
        chunks.setdefault(kind, data[start + 8 : start + 8 + length])
        start += 8 + length
    return chunks
