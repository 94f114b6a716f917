"""GLB files of one's own, array by array."""

from pathlib import Path

import numpy as np

from tests.fuzz.mutations import write_glb

COMPONENT_TYPES = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}


class GlbFile:
    """A GLB file that is put together."""

    def __init__(self, **tree):
        self.tree = {"accessors": [], "bufferViews": [], "nodes": [{"mesh": 0}]} | tree
        self.binary = b""

    def view(self, data: bytes, **more) -> int:
        """The number of a new buffer view."""
        self.binary += bytes(-len(self.binary) % 4)
        self.tree["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)} | more
        )
        self.binary += data
        return len(self.tree["bufferViews"]) - 1

    def array(self, values: np.ndarray, padding: int = 0, **more) -> int:
        """The number of a new accessor; ``padding`` bytes lie behind each of its elements."""
        rows = values.reshape(len(values), -1)
        data = b"".join(row.tobytes() + bytes(padding) for row in rows)
        stride = {"byteStride": rows.itemsize * rows.shape[1] + padding} if padding else {}
        accessor = {
            "bufferView": self.view(data, **stride),
            "componentType": COMPONENT_TYPES[values.dtype.str[1:]],
            "count": len(values),
            "type": "SCALAR" if values.ndim == 1 else f"VEC{values.shape[1]}",
        }
        self.tree["accessors"].append(accessor | more)
        return len(self.tree["accessors"]) - 1

    def write(self, path: Path, primitives: list[dict], **more) -> Path:
        """Writes the file with one mesh of these primitives."""
        roots = set(range(len(self.tree["nodes"]))) - {
            child for node in self.tree["nodes"] for child in node.get("children", ())
        }
        tree = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": sorted(roots)}],
            "meshes": [{"primitives": primitives}],
            "buffers": [{"byteLength": len(self.binary)}],
        }
        path.write_bytes(write_glb(self.tree | tree | more, self.binary))
        return path
