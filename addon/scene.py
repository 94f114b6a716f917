"""A Blender object as plain arrays, and UVs back onto its mesh.

Nothing here changes a mesh, except :func:`write_uv_layer`, which adds a layer.
"""

import hashlib
from dataclasses import dataclass

import bpy
import numpy as np

from ..backend.api.errors import InvalidMesh, InvalidTarget
from ..backend.api.job import check_triangle_count
from .mesh_check import Faces
from .snapshot import Snapshot, mirrors, split_quads

UV_LAYER = "Orbit Texture"
MAX_UV_LAYERS = 8

_SELECTED = ".select_poly"
"""The attribute of the polygons that are selected; there is none if none is."""


@dataclass(frozen=True)
class Target:
    """What a job needs to know about an object, taken when the button is pressed.

    Attributes:
        snapshot: the mesh that travels to the worker.
        loops: (F, 3) int32, the loop of the object's own mesh behind each triangle corner; None when the triangles are those of the
            evaluated mesh, whose loops the object does not have.
        topology: fingerprint of the connectivity of the object's own mesh and of ``loops``.
        uv_layer: name of the layer that was sent, "" if none.
        notes: sentences for the take's report.
    """

    snapshot: Snapshot
    loops: np.ndarray | None
    topology: str
    uv_layer: str
    notes: tuple[str, ...] = ()


def check(obj: bpy.types.Object | None) -> None:
    """Raises :class:`InvalidTarget` or :class:`InvalidMesh`, with what to do, for an object that cannot be textured."""
    if obj is None:
        raise InvalidTarget("Nothing is selected. Select the mesh object to texture.")
    if obj.type != "MESH":
        kind = obj.bl_rna.properties["type"].enum_items[obj.type].name.lower()
        convert = " or convert it with Object > Convert > Mesh" if obj.type in {"CURVE", "SURFACE", "META", "FONT"} else ""
        raise InvalidTarget(f"'{obj.name}' is not a mesh (its type is {kind}). Select a mesh object{convert}.")
    if not obj.is_editable or not obj.data.is_editable:
        raise InvalidTarget(f"'{obj.name}' is linked from another file and cannot be changed here. "
                            "Make it local first: Object > Relations > Make Local > Selected Objects and Data.", fix="make_local")
    if obj.mode != "OBJECT" or obj.data.is_editmode:
        mode = obj.mode.replace("_", " ").title()
        raise InvalidTarget(f"'{obj.name}' is in {mode} Mode. Leave it for Object Mode first.", fix="object_mode")
    if obj.name not in bpy.context.view_layer.objects:
        raise InvalidTarget(f"'{obj.name}' is not in the current view layer. Enable its collection, or select another object.")
    if not obj.visible_get():
        raise InvalidTarget(f"'{obj.name}' is hidden. Show it in the viewport first.")
    if len(obj.data.polygons) == 0:
        raise InvalidMesh(f"'{obj.name}' has no faces. Add faces to it, or select another object.")
    check_triangle_count(triangle_count(obj.data))


def read(obj: bpy.types.Object, own_topology: bool = False, layer: str = "") -> Target:
    """The object's mesh as it is seen in the viewport, with modifiers and shape keys.

    Modifiers that change the topology are only followed when the object has a UV layer to put the texture on.

    Args:
        own_topology: leave out modifiers that change the topology even then.
        layer: the UV layer to send, one that the mesh has; "" for the one that a new take gets.

    Raises:
        InvalidTarget, InvalidMesh: as :func:`check` says.
    """
    check(obj)
    own = obj.data
    layer = layer or layer_to_send(obj)
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    seen = evaluated.to_mesh()
    try:
        if _same_topology(own, seen):
            return _target(own, _snapshot(seen, obj, own, layer), layer)
        if layer in seen.uv_layers and not own_topology:
            check_triangle_count(triangle_count(seen))
            return Target(_snapshot(seen, obj, seen, layer), None, _topology(own, None), layer)
    finally:
        evaluated.to_mesh_clear()
    note = "The modifiers change the topology, so the mesh was textured as it is without them; the texture shows through them."
    return _target(own, _snapshot(own, obj, own, layer), layer, note)


def faces(obj: bpy.types.Object) -> Faces:
    """The object's own mesh, without modifiers, with the UV layer that would be sent."""
    mesh, layer = obj.data, layer_to_send(obj)
    positions = _get(mesh.attributes["position"].data, "vector", len(mesh.vertices), 3)
    corner_vertices = _corner_vertices(mesh)
    return Faces(
        positions, _get(mesh.attributes[".edge_verts"].data, "value", len(mesh.edges), 2, np.int32), corner_vertices,
        _get(mesh.attributes[".corner_edge"].data, "value", len(mesh.loops), dtype=np.int32),
        _triangles(mesh, positions, corner_vertices)[0],
        _get(mesh.attributes[layer].data, "vector", len(mesh.loops), 2) if layer else None)


def corners(obj: bpy.types.Object, layer: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions (3F, 3) in the object's space and UVs (3F, 2) of the triangles that the viewport shows; None without the UV layer."""
    seen = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    if layer not in seen.uv_layers:
        return None
    positions = _get(seen.attributes["position"].data, "vector", len(seen.vertices), 3)
    corner_vertices = _corner_vertices(seen)
    loops = _triangles(seen, positions, corner_vertices)[0].ravel()
    return positions[corner_vertices[loops]], _get(seen.attributes[layer].data, "vector", len(seen.loops), 2)[loops]


def selection(obj: bpy.types.Object, own_topology: bool) -> np.ndarray:
    """(F,) uint8: 1 for triangles of selected polygons, of the mesh that :func:`read` sends.

    Raises:
        InvalidTarget: a modifier makes faces of which it does not say whether they are selected.
    """
    own = obj.data
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    seen = evaluated.to_mesh()
    try:
        mesh = own if own_topology or _same_topology(own, seen) else seen
        chosen = mesh.attributes.get(_SELECTED)
        if chosen is None and _SELECTED in own.attributes:
            raise InvalidTarget(f"A modifier of '{obj.name}' makes faces that do not follow the selection. "
                                "Paint the region instead, with Mark Region.")
        if chosen is None:
            return np.zeros(triangle_count(mesh), np.uint8)
        values = _get(chosen.data, "value", len(mesh.polygons), dtype=np.bool_)
        return np.repeat(values, _polygon_sizes(mesh) - 2).astype(np.uint8)
    finally:
        evaluated.to_mesh_clear()


def layout(mesh: bpy.types.Mesh, layer: str) -> str:
    """Fingerprint of the connectivity and of a UV layer, which the mesh has: a texture lies right while it stays the same."""
    digest = hashlib.blake2b(_get(mesh.attributes[layer].data, "vector", len(mesh.loops), 2), digest_size=32)
    digest.update(_corner_vertices(mesh))
    return digest.hexdigest()


def triangle_count(mesh: bpy.types.Mesh) -> int:
    """How many triangles the polygons are."""
    return len(mesh.loops) - 2 * len(mesh.polygons)


def layer_to_send(obj: bpy.types.Object) -> str:
    """The layer of the newest take that still exists, else the active one."""
    layers = obj.data.uv_layers
    for take in reversed(obj.orbit_texture.takes):
        if take.owns_uv_layer and take.uv_layer in layers:
            return take.uv_layer
    return layers.active.name if layers.active else ""


def topology(obj: bpy.types.Object, target: Target) -> str:
    """Fingerprint to compare with ``target.topology``: differs once the target's triangles are no longer those of the object's mesh."""
    return _topology(obj.data, target.loops)


def write_uv_layer(mesh: bpy.types.Mesh, loops: np.ndarray, corner_uvs: np.ndarray) -> str:
    """Adds a UV layer and returns its name; the layers that are active stay so.

    Args:
        loops: (F, 3) int32 loop of each triangle corner.
        corner_uvs: (F, 3, 2) float32, v up.

    Raises:
        InvalidTarget: the mesh has no room for another layer.
    """
    if len(mesh.uv_layers) >= MAX_UV_LAYERS:
        raise InvalidTarget(f"The mesh has {MAX_UV_LAYERS} UV maps, the most Blender allows, and needs one more. Remove one and retry.",
                            fix="retry")
    active = mesh.uv_layers.active_index
    rendered = next((layer.name for layer in mesh.uv_layers if layer.active_render), None)
    name = mesh.uv_layers.new(name=UV_LAYER, do_init=False).name
    uvs = np.zeros((len(mesh.loops), 2), np.float32)
    uvs[loops.ravel()] = corner_uvs.reshape(-1, 2)
    # Through the attribute: MeshUVLoopLayer.uv.foreach_set writes into copies and undo steps that share the array (Blender 4.2 to 5.0).
    mesh.attributes[name].data.foreach_set("vector", uvs.ravel())
    if rendered is not None:
        mesh.uv_layers.active_index = active
        mesh.uv_layers[rendered].active_render = True
    mesh.update_tag()
    return name


def _target(own: bpy.types.Mesh, snapshot: Snapshot, layer: str, *notes: str) -> Target:
    return Target(snapshot, snapshot.loops, _topology(own, snapshot.loops), layer, notes)


def _snapshot(mesh: bpy.types.Mesh, obj: bpy.types.Object, uv_owner: bpy.types.Mesh, layer: str) -> Snapshot:
    matrix = np.array(obj.matrix_world, np.float64)
    positions = _get(mesh.attributes["position"].data, "vector", len(mesh.vertices), 3)
    corner_vertices = _corner_vertices(mesh)
    loops, polygons = _triangles(mesh, positions, corner_vertices)
    return Snapshot(
        positions, corner_vertices,
        normals=_get(mesh.corner_normals, "vector", len(mesh.loops), 3),
        uvs=_get(uv_owner.attributes[layer].data, "vector", len(mesh.loops), 2) if layer else None,
        loops=loops[:, [0, 2, 1]] if mirrors(matrix) else loops,
        polygons=polygons, matrix=matrix)


def _triangles(mesh: bpy.types.Mesh, positions: np.ndarray, corner_vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Loops (F, 3) int32 of the mesh's triangles and the polygon (F,) int32 of each; None where every polygon is a triangle."""
    count = triangle_count(mesh)
    if _all_triangles(mesh):
        return np.arange(3 * count, dtype=np.int32).reshape(-1, 3), None
    mesh.calc_loop_triangles()
    polygons = _get(mesh.loop_triangle_polygons, "value", count, dtype=np.int32)
    if np.bincount(polygons).max() > 2:
        return _get(mesh.loop_triangles, "loops", count, 3, np.int32), polygons
    # Blender hands out loop triangles far slower than any other array; those of triangles and quads are found faster than read.
    return split_quads(positions, corner_vertices, polygons), polygons


def _polygon_sizes(mesh: bpy.types.Mesh) -> np.ndarray:
    """(P,) int32 corners of each polygon."""
    return _get(mesh.polygons, "loop_total", len(mesh.polygons), dtype=np.int32)


def _all_triangles(mesh: bpy.types.Mesh) -> bool:
    return len(mesh.loops) == 3 * len(mesh.polygons)


def _corner_vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    return _get(mesh.attributes[".corner_vert"].data, "value", len(mesh.loops), dtype=np.int32)


def _same_topology(a: bpy.types.Mesh, b: bpy.types.Mesh) -> bool:
    if (len(a.vertices), len(a.loops), len(a.polygons)) != (len(b.vertices), len(b.loops), len(b.polygons)):
        return False
    return np.array_equal(_corner_vertices(a), _corner_vertices(b))


def _topology(mesh: bpy.types.Mesh, loops: np.ndarray | None) -> str:
    digest = hashlib.blake2b(np.array([len(mesh.vertices), len(mesh.polygons)], np.int64), digest_size=32)
    digest.update(_corner_vertices(mesh))
    if loops is not None:
        # Of nothing but triangles, the first tells how all the others lie.
        digest.update(np.ascontiguousarray(loops[:1] if _all_triangles(mesh) else loops))
    return digest.hexdigest()


def _get(collection, attribute: str, count: int, width: int = 1, dtype=np.float32) -> np.ndarray:
    values = np.empty(count * width, dtype)
    collection.foreach_get(attribute, values)
    return values.reshape(count, width) if width > 1 else values
