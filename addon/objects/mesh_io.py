"""Reads a Blender object into plain arrays, and writes UVs back to its mesh.

Nothing here changes a mesh, except :func:`add_uv_layer`.
"""

import hashlib
from collections import deque
from collections.abc import Iterable

import bpy
import numpy as np

from ...backend.api.errors import InvalidMesh, InvalidTarget
from ...backend.api.job import check_triangle_count
from ..checks.mesh_check import Faces
from .appearance import shows_only_instances
from .present_paint import PaintSource, read_paint
from .snapshot import Connectivity, MeshSnapshot, TargetMesh, triangle_loops

UV_LAYER = "Orbit Texture"
MAX_UV_LAYERS = 8

_SELECTION_ATTRIBUTE = ".select_poly"
"""Name of the polygon attribute that holds the selection; missing if nothing is selected."""


def check_object(obj: bpy.types.Object | None) -> None:
    """Raises :class:`InvalidTarget` or :class:`InvalidMesh`, with what to do about it, if an object cannot be
    textured."""
    if obj is None:
        raise InvalidTarget("Nothing is selected. Select the mesh object to texture.")
    # The kind of object, and where it comes from.
    if obj.type != "MESH":
        kind = obj.bl_rna.properties["type"].enum_items[obj.type].name.lower()
        convert = (
            " or convert it with Object > Convert > Mesh"
            if obj.type in {"CURVE", "SURFACE", "META", "FONT"}
            else ""
        )
        raise InvalidTarget(
            f"'{obj.name}' is not a mesh (its type is {kind}). Select a mesh object{convert}."
        )
    if obj.library and not obj.visible_get():
        raise InvalidTarget(
            f"'{obj.name}' is instanced from {bpy.path.abspath(obj.library.filepath)} and cannot be changed "
            "here. Open that file and texture it there. Or select its instance here, then use Object > Apply "
            "> Make Instances Real and Object > Relations > Make Local > Selected Objects and Data."
        )
    if not obj.is_editable or not obj.data.is_editable:
        raise InvalidTarget(
            f"'{obj.name}' is linked from another file and cannot be changed here. "
            "Make it local first: Object > Relations > Make Local > Selected Objects and Data.",
            fix="make_local",
        )
    if obj.override_library or obj.data.override_library:
        raise InvalidTarget(
            f"'{obj.name}' is a library override, on which Blender keeps no textures and no UV maps. "
            "Make it local first: Object > Relations > Make Local > Selected Objects and Data.",
            fix="make_local",
        )
    # Its state in this scene.
    if obj.mode != "OBJECT" or obj.data.is_editmode:
        mode = obj.mode.replace("_", " ").title()
        raise InvalidTarget(
            f"'{obj.name}' is in {mode} Mode. Switch to Object Mode first.", fix="object_mode"
        )
    if not obj.visible_get() and obj not in mesh_objects(visible_objects()):
        if obj.name in bpy.context.view_layer.objects:
            raise InvalidTarget(f"'{obj.name}' is hidden. Show it in the viewport first.")
        raise InvalidTarget(
            f"'{obj.name}' is not in the current view layer. Enable its collection, or select another object."
        )
    if shows_only_instances(obj):
        raise InvalidTarget(
            f"'{obj.name}' shows only instances of something else; its own mesh, on which the texture would "
            "lie, is hidden. Texture the instanced object, or add a Realize Instances node at the end of the "
            "geometry nodes."
        )
    # The size of its mesh.
    if len(obj.data.polygons) == 0:
        raise InvalidMesh(f"'{obj.name}' has no faces. Add faces to it, or select another object.")
    check_triangle_count(triangle_count(obj.data))


def visible_objects() -> list[bpy.types.Object]:
    """The objects that the viewport shows, without those inside instanced collections."""
    return [obj for obj in bpy.context.view_layer.objects if obj.visible_get()]


def mesh_objects(objects: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    """The mesh objects among these and in the collections that they instance, linked ones included. Each is
    listed once, however often it is instanced."""
    found, opened, waiting = {}, set(), deque(objects)
    while waiting:
        obj = waiting.popleft()
        if obj.type == "MESH":
            found[obj] = None
        elif (
            obj.instance_type == "COLLECTION" and (inside := obj.instance_collection) and inside not in opened
        ):
            opened.add(inside)
            waiting += [inner for inner in inside.all_objects if not inner.hide_viewport]
    return list(found)


def read_mesh(
    obj: bpy.types.Object, own_topology: bool = False, layer: str = "", with_paint: bool = False
) -> TargetMesh:
    """Reads the object's mesh as the viewport shows it, with modifiers and shape keys.

    Modifiers that change the topology are only applied if the object has a UV layer for the texture.

    Args:
        own_topology: do not apply modifiers that change the topology even then.
        layer: an existing UV layer to send; "" for that of :func:`job_uv_layer`.
        with_paint: read the base colour that the object wears, too.

    Raises:
        InvalidTarget, InvalidMesh: as for :func:`check_object`.
        OrbitError: the base colour cannot be read.
    """
    check_object(obj)
    mesh, layer = obj.data, layer or job_uv_layer(obj)
    connectivity = _read_connectivity(mesh)
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    evaluated_mesh = evaluated.to_mesh()

    def paint(worn: bpy.types.Mesh) -> PaintSource | None:
        return read_paint(obj, worn) if with_paint else None

    try:
        if _has_same_topology(evaluated_mesh, connectivity):
            snapshot = _copy_mesh(evaluated_mesh, obj, mesh, layer)
            return TargetMesh(snapshot, connectivity, False, layer, paint=paint(evaluated_mesh))
        if layer in evaluated_mesh.uv_layers and not own_topology:
            check_triangle_count(triangle_count(evaluated_mesh))
            snapshot = _copy_mesh(evaluated_mesh, obj, evaluated_mesh, layer)
            return TargetMesh(snapshot, connectivity, True, layer, paint=paint(evaluated_mesh))
    finally:
        evaluated.to_mesh_clear()
    note = "The modifiers change the topology, so the mesh was textured without them."
    return TargetMesh(_copy_mesh(mesh, obj, mesh, layer), connectivity, False, layer, (note,), paint(mesh))


def read_faces(obj: bpy.types.Object) -> Faces:
    """Reads the object's own mesh, without modifiers, and the UV layer that a job would send."""
    mesh, layer = obj.data, job_uv_layer(obj)
    positions = _read_array(mesh.attributes["position"].data, "vector", len(mesh.vertices), 3)
    corner_vertices = _read_corner_vertices(mesh)
    return Faces(
        positions,
        _read_array(mesh.attributes[".edge_verts"].data, "value", len(mesh.edges), 2, np.int32),
        corner_vertices,
        _read_array(mesh.attributes[".corner_edge"].data, "value", len(mesh.loops), dtype=np.int32),
        triangle_loops(positions, corner_vertices, *_read_triangles(mesh)),
        _read_array(mesh.attributes[layer].data, "vector", len(mesh.loops), 2) if layer else None,
    )


def read_corners(obj: bpy.types.Object, layer: str) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Reads positions (3F, 3) in object space and UVs (3F, 2) of the triangles that the viewport shows; None
    if the UV layer is missing. Without a name of a layer there are no UVs."""
    evaluated_mesh = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    if layer and layer not in evaluated_mesh.uv_layers:
        return None
    positions = _read_array(
        evaluated_mesh.attributes["position"].data, "vector", len(evaluated_mesh.vertices), 3
    )
    corner_vertices = _read_corner_vertices(evaluated_mesh)
    loops = triangle_loops(positions, corner_vertices, *_read_triangles(evaluated_mesh)).ravel()
    corners = positions[corner_vertices[loops]]
    if not layer:
        return corners, None
    uvs = _read_array(evaluated_mesh.attributes[layer].data, "vector", len(evaluated_mesh.loops), 2)
    return corners, uvs[loops]


def read_positions(obj: bpy.types.Object) -> np.ndarray:
    """Reads the vertices (N, 3) float32 that the viewport shows, in object space."""
    evaluated_mesh = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    return _read_array(evaluated_mesh.attributes["position"].data, "vector", len(evaluated_mesh.vertices), 3)


def read_selection(obj: bpy.types.Object, own_topology: bool) -> np.ndarray:
    """Reads (F,) uint8 for the triangles that :func:`read_mesh` reads: 1 if their polygon is selected.

    Raises:
        InvalidTarget: a modifier makes faces without passing on the selection.
    """
    own = obj.data
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    evaluated_mesh = evaluated.to_mesh()
    try:
        mesh = (
            own
            if own_topology or _has_same_topology(evaluated_mesh, _read_connectivity(own))
            else evaluated_mesh
        )
        selection = mesh.attributes.get(_SELECTION_ATTRIBUTE)
        if selection is None and _SELECTION_ATTRIBUTE in own.attributes:
            raise InvalidTarget(
                f"A modifier of '{obj.name}' makes faces that do not keep the selection. "
                "Paint the region with Mark Region instead."
            )
        if selection is None:
            return np.zeros(triangle_count(mesh), np.uint8)
        values = _read_array(selection.data, "value", len(mesh.polygons), dtype=np.bool_)
        return np.repeat(values, _polygon_sizes(mesh) - 2).astype(np.uint8)
    finally:
        evaluated.to_mesh_clear()


def layout_fingerprint(mesh: bpy.types.Mesh, layer: str) -> str:
    """A hash of the connectivity and of an existing UV layer. A texture fits the mesh as long as this stays
    the same."""
    digest = hashlib.blake2b(
        _read_array(mesh.attributes[layer].data, "vector", len(mesh.loops), 2), digest_size=32
    )
    digest.update(_read_corner_vertices(mesh))
    return digest.hexdigest()


def triangle_count(mesh: bpy.types.Mesh) -> int:
    """Number of triangles that the polygons are split into."""
    return len(mesh.loops) - 2 * len(mesh.polygons)


def job_uv_layer(obj: bpy.types.Object) -> str:
    """Name of the UV layer that a new job sends: the newest take's own layer if it still exists, else the
    active one; "" if there is none."""
    layers = obj.data.uv_layers
    for take in reversed(obj.orbit_texture.takes):
        if take.owns_uv_layer and take.uv_layer in layers:
            return take.uv_layer
    return layers.active.name if layers.active else ""


def topology_fingerprint(obj: bpy.types.Object, target: TargetMesh) -> str:
    """A hash to compare with ``target.topology``: it differs once the target's triangles are no longer those
    of the object's mesh."""
    return _read_connectivity(obj.data).fingerprint(target.loops)


def add_uv_layer(mesh: bpy.types.Mesh, loops: np.ndarray, corner_uvs: np.ndarray) -> str:
    """Adds a UV layer and returns its name. The active layers stay active.

    Args:
        loops: (F, 3) int32 loop of each triangle corner.
        corner_uvs: (F, 3, 2) float32, v up.

    Raises:
        InvalidTarget: the mesh has no room for another layer.
    """
    if len(mesh.uv_layers) >= MAX_UV_LAYERS:
        raise InvalidTarget(
            f"The mesh already has {MAX_UV_LAYERS} UV maps, the maximum in Blender, and needs one more. "
            "Remove one and retry.",
            fix="retry",
        )
    active = mesh.uv_layers.active_index
    rendered = next((layer.name for layer in mesh.uv_layers if layer.active_render), None)
    name = mesh.uv_layers.new(name=UV_LAYER, do_init=False).name
    uvs = np.zeros((len(mesh.loops), 2), np.float32)
    uvs[loops.ravel()] = corner_uvs.reshape(-1, 2)
    # Write through the attribute: MeshUVLoopLayer.uv.foreach_set also writes into copies and undo steps that
    # share the array (Blender 4.2 to 5.0).
    mesh.attributes[name].data.foreach_set("vector", uvs.ravel())
    if rendered is not None:
        mesh.uv_layers.active_index = active
        mesh.uv_layers[rendered].active_render = True
    mesh.update_tag()
    return name


def _copy_mesh(
    mesh: bpy.types.Mesh, obj: bpy.types.Object, uv_owner: bpy.types.Mesh, layer: str
) -> MeshSnapshot:
    """Only copies arrays. Everything computed from them is computed on another thread."""
    polygons, loop_triangles = _read_triangles(mesh)
    slots = mesh.attributes.get("material_index")
    return MeshSnapshot(
        positions=_read_array(mesh.attributes["position"].data, "vector", len(mesh.vertices), 3),
        corner_vertices=_read_corner_vertices(mesh),
        normals=_read_array(mesh.corner_normals, "vector", len(mesh.loops), 3),
        uvs=_read_array(uv_owner.attributes[layer].data, "vector", len(mesh.loops), 2) if layer else None,
        polygons=polygons,
        loop_triangles=loop_triangles,
        matrix=_read_placed_matrix(obj),
        slot_count=len(mesh.materials),
        slots=_read_array(slots.data, "value", len(mesh.polygons), dtype=np.int32) if slots else None,
    )


def _read_placed_matrix(obj: bpy.types.Object) -> np.ndarray:
    """(4, 4) float64: the object's world matrix without its location. A job does not depend on that, and far
    from the origin float32 has no room for the mesh's shape beside it."""
    matrix = np.array(obj.matrix_world, np.float64)
    matrix[:3, 3] = 0
    return matrix


def _read_triangles(mesh: bpy.types.Mesh) -> tuple[np.ndarray | None, np.ndarray | None]:
    """``polygons`` and ``loop_triangles`` of a mesh, as :class:`MeshSnapshot` has them."""
    count = triangle_count(mesh)
    if len(mesh.loops) == 3 * len(mesh.polygons):
        return None, None
    mesh.calc_loop_triangles()
    polygons = _read_array(mesh.loop_triangle_polygons, "value", count, dtype=np.int32)
    # Blender returns loop triangles far slower than any other array. For triangles and quads, computing them
    # is faster than reading them.
    three_in_one = (polygons[2:] == polygons[:-2]).any()
    return polygons, _read_array(mesh.loop_triangles, "loops", count, 3, np.int32) if three_in_one else None


def _read_connectivity(mesh: bpy.types.Mesh) -> Connectivity:
    return Connectivity(len(mesh.vertices), len(mesh.polygons), _read_corner_vertices(mesh))


def _polygon_sizes(mesh: bpy.types.Mesh) -> np.ndarray:
    """(P,) int32 number of corners of each polygon."""
    return _read_array(mesh.polygons, "loop_total", len(mesh.polygons), dtype=np.int32)


def _read_corner_vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    return _read_array(mesh.attributes[".corner_vert"].data, "value", len(mesh.loops), dtype=np.int32)


def _has_same_topology(mesh: bpy.types.Mesh, connectivity: Connectivity) -> bool:
    if (len(mesh.vertices), len(mesh.loops), len(mesh.polygons)) != (
        connectivity.vertices,
        len(connectivity.corner_vertices),
        connectivity.polygons,
    ):
        return False
    return np.array_equal(_read_corner_vertices(mesh), connectivity.corner_vertices)


def _read_array(collection, attribute: str, count: int, width: int = 1, dtype=np.float32) -> np.ndarray:
    values = np.empty(count * width, dtype)
    collection.foreach_get(attribute, values)
    return values.reshape(count, width) if width > 1 else values
