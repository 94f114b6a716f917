"""PLY files, ASCII and binary: vertices, polygons, strips, and UVs per vertex or per corner."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit

from ...api.errors import InvalidMesh
from ...api.job import check_triangle_count
from .mesh_file import MeshFile
from .triangulate import triangulate

TYPES = {
    name: np.dtype(code)
    for code, names in {
        "i1": ("char", "int8"),
        "u1": ("uchar", "uint8"),
        "i2": ("short", "int16"),
        "u2": ("ushort", "uint16"),
        "i4": ("int", "int32"),
        "u4": ("uint", "uint32"),
        "f4": ("float", "float32"),
        "f8": ("double", "float64"),
    }.items()
    for name in names
}
"""The number types of PLY by their names, old and new."""

UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"), ("u0", "v0"))
"""Pairs of vertex properties that programs store UVs in."""

LONGEST_HEADER = 1 << 20
"""Bytes of a header at most."""


@dataclass(frozen=True)
class _Property:
    """A property: a list, if its count has a type."""

    name: str
    dtype: np.dtype
    count_dtype: np.dtype | None = None


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


@dataclass(frozen=True)
class _List:
    """A list property of all rows: their values one after the other, and (n,) how many each has."""

    values: np.ndarray
    counts: np.ndarray


def read_ply(path: Path) -> MeshFile:
    """The triangles of a file.

    Raises:
        InvalidMesh: without faces, or with too many.
        ValueError: it contradicts itself.
    """
    columns = _read_elements(path.read_bytes())
    vertex, face = columns.get("vertex", {}), columns.get("face", {})
    if not {"x", "y", "z"} <= vertex.keys():
        raise ValueError("its vertices do not have three coordinates each")
    polygons = face.get("vertex_indices", face.get("vertex_index"))
    corner_uvs = face.get("texcoord")
    if polygons is None and "tristrips" in columns:
        polygons, corner_uvs = _unroll_strips(columns["tristrips"]), None
    if not isinstance(polygons, _List):
        raise InvalidMesh(f"{path.name} holds no faces.")
    with np.errstate(over="ignore"):
        points = np.column_stack([vertex[axis] for axis in "xyz"]).astype(np.float32)
    check_triangle_count(int(np.maximum(polygons.counts - 2, 0).sum()))
    corners = polygons.values.astype(np.int64)
    triangles = triangulate(points, corners, polygons.counts)
    if not len(triangles):
        raise InvalidMesh(f"{path.name} holds no faces.")
    normals = _stack_columns(vertex, ("nx", "ny", "nz"))
    uvs = next((uvs for names in UV_NAMES if (uvs := _stack_columns(vertex, names)) is not None), None)
    if isinstance(corner_uvs, _List) and np.array_equal(corner_uvs.counts, 2 * polygons.counts):
        return _split_corners(points, corners, triangles, corner_uvs.values.reshape(-1, 2), normals)
    return MeshFile(points, corners[triangles].astype(np.int32), uvs, False, normals=normals)


def _stack_columns(columns: dict, names: tuple[str, ...]) -> np.ndarray | None:
    """(n, len(names)) float32 of scalar properties; None if one is not there."""
    if not all(isinstance(columns.get(name), np.ndarray) for name in names):
        return None
    with np.errstate(over="ignore"):
        return np.column_stack([columns[name] for name in names]).astype(np.float32)


def _split_corners(
    points: np.ndarray,
    corners: np.ndarray,
    triangles: np.ndarray,
    corner_uvs: np.ndarray,
    normals: np.ndarray | None,
) -> MeshFile:
    """The mesh of polygons that have their UVs per corner: a vertex for each point and UV."""
    with np.errstate(over="ignore"):
        corner_uvs = np.ascontiguousarray(corner_uvs, np.float32)
    rows = np.column_stack([corners.astype(np.int32), corner_uvs.view(np.int32)])
    _, first, index = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    point_of = corners[first].astype(np.int32)
    return MeshFile(
        points[point_of],
        index[triangles].astype(np.int32),
        corner_uvs[first],
        False,
        normals=None if normals is None else normals[point_of],
        points=points,
        point_of=point_of,
    )


def _unroll_strips(columns: dict) -> _List | None:
    """The triangles of strips, which -1 separates."""
    strips = columns.get("vertex_indices", columns.get("vertex_index"))
    if not isinstance(strips, _List):
        return None
    indices = strips.values.astype(np.int64)
    # -1 after each row, too, so that no strip goes on in the next.
    indices = np.insert(indices, np.cumsum(strips.counts), -1)
    a, b, c = indices[:-2], indices[1:-1], indices[2:]
    # Every second triangle of a strip is wound the other way.
    starts = np.maximum.accumulate(np.where(indices < 0, np.arange(len(indices)), -1))[: len(a)]
    odd = (np.arange(len(a)) - starts) % 2 == 0
    b, c = np.where(odd, c, b), np.where(odd, b, c)
    kept = (np.minimum(np.minimum(a, b), c) >= 0) & (a != b) & (b != c) & (c != a)
    return _List(np.column_stack([a, b, c])[kept].ravel(), np.full(int(kept.sum()), 3))


def _read_elements(data: bytes) -> dict[str, dict[str, np.ndarray | _List]]:
    """The properties of each element by name: (n,) of a number, or a list."""
    order, elements, start = _read_header(data)
    if order:
        items = np.frombuffer(data, np.uint8)
    else:
        # Every number is one item.
        items, start = np.array(data[start:].split(), np.bytes_).astype(np.float64), 0
    columns = {}
    for element in elements:
        columns[element.name], start = _read_rows(items, order, element, start)
    return columns


def _read_header(data: bytes) -> tuple[str, list[_Element], int]:
    """The byte order, ``<`` or ``>`` or nothing for ASCII, the elements, and where the header ends."""
    end = data.find(b"end_header", 0, LONGEST_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise ValueError("it has no header of a PLY file")
    start = data.find(b"\n", end) + 1
    if start == 0 or data[end + 10 : start].strip():
        # Old Macintosh files end lines with a carriage return.
        start = end + len(b"end_header\r")
    order, elements = "", []
    for line in data[:end].decode("latin-1").splitlines():
        match line.split():
            case ["format", kind, *_]:
                order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[kind]
            case ["element", name, count]:
                elements.append(_Element(name, int(count), ()))
            case ["property", "list", count_type, item_type, name]:
                _add_property(elements, _Property(name, TYPES[item_type], TYPES[count_type]))
            case ["property", item_type, name]:
                _add_property(elements, _Property(name, TYPES[item_type]))
    return order, elements, start


def _add_property(elements: list[_Element], new: _Property) -> None:
    last = elements[-1]
    elements[-1] = _Element(last.name, last.count, (*last.properties, new))


def _read_rows(
    items: np.ndarray, order: str, element: _Element, start: int
) -> tuple[dict[str, np.ndarray | _List], int]:
    """An element's properties by name, and where the next element starts.

    Args:
        items: (n,) uint8 bytes, or (n,) float64 numbers of an ASCII file.
        order: the byte order; empty for an ASCII file.
    """
    properties = element.properties
    if not properties:
        return {}, start
    if not 0 <= element.count <= len(items):
        raise ValueError("it is shorter than its header says")
    sizes = np.array([_size(found.dtype, order) for found in properties])
    count_sizes = np.array([_size(found.count_dtype, order) for found in properties])
    starts, counts, end = _scan_rows(items, start, element.count, sizes, count_sizes, order == "<")
    if end < 0:
        raise ValueError("it is shorter than its header says")
    columns = {}
    for found, first, count in zip(properties, starts.T, counts.T, strict=True):
        size = _size(found.dtype, order)
        if found.count_dtype is None:
            columns[found.name] = _gather(items, first, found.dtype, order)
        else:
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            values = _gather(items, np.repeat(first, count) + size * within, found.dtype, order)
            columns[found.name] = _List(values, count)
    return columns, end


def _size(dtype: np.dtype | None, order: str) -> int:
    """How many items a number takes; 0 for none."""
    return 0 if dtype is None else dtype.itemsize if order else 1


def _gather(items: np.ndarray, places: np.ndarray, dtype: np.dtype, order: str) -> np.ndarray:
    """(n,) numbers at places (n,)."""
    if not order:
        return items[places]
    return items[places[:, None] + np.arange(dtype.itemsize)].view(dtype.newbyteorder(order))[:, 0]


@njit(cache=True, nogil=True)
def _scan_rows(items, start, rows, sizes, count_sizes, little):
    """Walks rows whose lists have any length.

    Returns:
        ``starts`` (rows, properties) of each number or list, ``counts`` of the same shape, 1 for a number,
        and where the rows end; -1 if there are too few items.
    """
    starts = np.zeros((rows, len(sizes)), np.int64)
    counts = np.ones((rows, len(sizes)), np.int64)
    at = start
    for row in range(rows):
        for column in range(len(sizes)):
            size = count_sizes[column]
            if size:
                if at + size > len(items):
                    return starts, counts, -1
                count = np.int64(0)
                for k in range(size):
                    byte = np.int64(items[at + (size - 1 - k if little else k)])
                    count = count * 256 + byte
                counts[row, column] = count
                at += size
            starts[row, column] = at
            at += counts[row, column] * sizes[column]
            if counts[row, column] < 0 or at > len(items):
                return starts, counts, -1
    return starts, counts, at
