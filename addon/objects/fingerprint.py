"""Hashes everything of an object that a take must not change: the proof behind "mesh untouched"."""

import hashlib
from collections.abc import Iterable

import bpy
import numpy as np

MAX_WEIGHT_SAMPLES = 20_000
"""Vertex weights can only be read one by one, so only those of about this many vertices, evenly spread, are
hashed."""

_ATTRIBUTE_FIELDS = {
    "FLOAT": ("value", np.float32, 1),
    "INT": ("value", np.int32, 1),
    "INT8": ("value", np.int32, 1),
    "BOOLEAN": ("value", np.bool_, 1),
    "FLOAT_VECTOR": ("vector", np.float32, 3),
    "FLOAT2": ("vector", np.float32, 2),
    "FLOAT_COLOR": ("color", np.float32, 4),
    "BYTE_COLOR": ("color", np.float32, 4),
    "INT32_2D": ("value", np.int32, 2),
    "INT16_2D": ("value", np.int32, 2),
    "QUATERNION": ("value", np.float32, 4),
    "FLOAT4X4": ("value", np.float32, 16),
}


MeshState = list[list[bytes | np.ndarray]]
"""What was read from a mesh, followed by what was read from each object that uses it."""


def fingerprint(obj: bpy.types.Object, ignore: str = "") -> str:
    """A hash over the object and its mesh: vertices, edges, loops, polygons, UV layers and every other
    attribute, normals, weights, shape keys, modifiers, constraints, transforms, parent and names.

    Materials and their slots are left out, since a take is meant to change them.

    Args:
        ignore: name of a UV layer to leave out: the one that the take added.
    """
    return fingerprints(read_state([obj], ignore))[0]


def read_state(objects: list[bpy.types.Object], ignore: str = "") -> MeshState:
    """Reads everything that :func:`fingerprint` hashes, for objects that share one mesh. Comparing two states
    is faster than hashing both."""
    mesh = []
    _add_mesh(mesh, objects[0].data, ignore)
    _add_weights(mesh, objects[0])
    state = [mesh]
    for obj in objects:
        state.append([])
        _add_object(state[-1], obj)
    return state


def is_same(before: MeshState, after: MeshState) -> bool:
    """Whether two states are identical, byte by byte."""
    return len(before) == len(after) and all(
        len(a) == len(b) and all(map(_is_same_bytes, a, b)) for a, b in zip(before, after, strict=True)
    )


def fingerprints(state: MeshState) -> list[str]:
    """The BLAKE2b hash of each object together with the mesh, as hexadecimal digits."""
    mesh, *objects = (_hash(contents) for contents in state)
    return [_hash([mesh, obj]).hex() for obj in objects]


def _hash(contents: Iterable[bytes | np.ndarray]) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for content in contents:
        digest.update(content)
    return digest.digest()


def _is_same_bytes(a: bytes | np.ndarray, b: bytes | np.ndarray) -> bool:
    return np.array_equal(np.frombuffer(a, np.uint8), np.frombuffer(b, np.uint8))


def _add_object(contents: list, obj: bpy.types.Object) -> None:
    settings = (
        "name",
        "parent",
        "parent_type",
        "parent_bone",
        "location",
        "rotation_mode",
        "rotation_euler",
        "rotation_quaternion",
        "rotation_axis_angle",
        "scale",
        "delta_location",
        "delta_scale",
        "matrix_world",
        "matrix_local",
        "matrix_parent_inverse",
        "active_shape_key_index",
        "show_only_shape_key",
        "hide_render",
        "hide_viewport",
        "pass_index",
    )
    _add(contents, {name: _to_plain_value(getattr(obj, name)) for name in settings})
    for item in (*obj.modifiers, *obj.constraints, *obj.vertex_groups):
        _add(contents, _read_settings(item))


def _add_mesh(contents: list, mesh: bpy.types.Mesh, ignore: str) -> None:
    # Which UV layer is active is no matter of the mesh: it follows the take that is shown.
    layers = [layer.name for layer in mesh.uv_layers if layer.name != ignore]
    _add(
        contents,
        [mesh.name, len(mesh.vertices), len(mesh.edges), len(mesh.loops), len(mesh.polygons), layers],
    )
    for attribute in sorted(mesh.attributes, key=lambda attribute: attribute.name):
        if ignore and (
            attribute.name == ignore or attribute.name in {f".{kind}.{ignore}" for kind in ("vs", "es", "pn")}
        ):
            continue  # the layer and, before Blender 5.0, its selection and pins
        _add(contents, [attribute.name, attribute.domain, attribute.data_type])
        _add_attribute(contents, attribute)
    if len(mesh.loops) != 3 * len(mesh.polygons):
        # Slow to read, and determined by the count if all polygons are triangles. Material indices are an
        # attribute, so they are hashed above.
        _add_array(contents, mesh.polygons, "loop_start", np.int32, 1)
    _add_array(contents, mesh.corner_normals, "vector", np.float32, 3)
    if mesh.shape_keys:
        for key in mesh.shape_keys.key_blocks:
            _add(contents, _read_settings(key))
            _add_array(contents, key.data, "co", np.float32, 3)


def _add_attribute(contents: list, attribute) -> None:
    if attribute.data_type in _ATTRIBUTE_FIELDS:
        _add_array(contents, attribute.data, *_ATTRIBUTE_FIELDS[attribute.data_type])
    else:
        _add(contents, [_to_plain_value(item.value) for item in attribute.data])


def _add_weights(contents: list, obj: bpy.types.Object) -> None:
    vertices = obj.data.vertices
    if obj.vertex_groups:
        step = -(-len(vertices) // MAX_WEIGHT_SAMPLES)
        _add(
            contents,
            [
                [(weight.group, weight.weight) for weight in vertices[index].groups]
                for index in range(0, len(vertices), step)
            ],
        )


def _add_array(contents: list, collection, name: str, dtype, width: int) -> None:
    values = np.empty(len(collection) * width, dtype)
    collection.foreach_get(name, values)
    contents.append(values)


def _add(contents: list, values) -> None:
    contents.append(repr(values).encode())


def _read_settings(item) -> dict:
    """Every setting of a modifier, constraint, vertex group or shape key, including the inputs of Geometry
    Nodes."""
    settings = {}
    for prop in item.bl_rna.properties:
        # Runtime values, such as the execution_time of a modifier, differ between evaluations.
        if prop.type != "COLLECTION" and prop.identifier not in {"rna_type", "execution_time"}:
            settings[prop.identifier] = _to_plain_value(getattr(item, prop.identifier))
    if isinstance(item, bpy.types.NodesModifier):
        settings |= _read_node_inputs(item)
    return settings


def _read_node_inputs(modifier: bpy.types.NodesModifier) -> dict:
    if not hasattr(modifier, "properties"):
        return {name: _to_plain_value(value) for name, value in modifier.items()}
    inputs = modifier.properties.inputs  # since Blender 5.2
    names = [
        prop.identifier
        for prop in inputs.bl_rna.properties
        if prop.type == "POINTER" and prop.identifier != "rna_type"
    ]
    return {name: _read_settings(getattr(inputs, name)) for name in names}


def _to_plain_value(value):
    """Converts a value to one whose ``repr`` depends on its content only."""
    if isinstance(value, bpy.types.ID):
        return value.name
    if isinstance(value, bpy.types.bpy_struct):
        return getattr(value, "name", type(value).__name__)
    if hasattr(value, "__len__") and not isinstance(value, (str, bytes, set)):
        return [_to_plain_value(item) for item in value]
    if isinstance(value, set):
        return sorted(value)
    return value
