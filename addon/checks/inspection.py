"""The slow checks of a mesh, cached until the mesh changes, so that a panel that draws does not run them."""

import bpy
from bpy.app.handlers import persistent

from ..objects import mesh_io
from ..viewport import redraw
from . import mesh_check
from .mesh_check import MeshCheck

AUTOMATIC_TRIANGLES = 20_000
"""An active object with at most this many triangles is checked automatically, in a few hundredths of a
second; a larger one only when the user asks."""

_DELAY = 0.3
"""Seconds between the last change of a mesh and its automatic check."""

_cache: dict[tuple[int, str], MeshCheck] = {}
"""Results by the mesh's session_uid, which Blender never uses twice, and the UV layer."""


def get_cached_check(obj: bpy.types.Object) -> MeshCheck | None:
    """The result for the object's mesh in its present state; None if it was not checked."""
    return _cache.get(_key(obj))


def inspect(obj: bpy.types.Object) -> MeshCheck:
    """Checks a mesh object that is in Object Mode, and caches the result."""
    _cache[_key(obj)] = found = mesh_check.check(mesh_io.faces(obj))
    return found


def _key(obj: bpy.types.Object) -> tuple[int, str]:
    return obj.data.session_uid, mesh_io.layer_to_send(obj)


def _needs_check(obj: bpy.types.Object | None) -> bool:
    """Whether the object is one to be checked automatically that has not been checked."""
    return (
        obj is not None
        and obj.type == "MESH"
        and obj.mode == "OBJECT"
        and len(obj.data.polygons) > 0
        and mesh_io.triangle_count(obj.data) <= AUTOMATIC_TRIANGLES
        and get_cached_check(obj) is None
    )


def _inspect_active() -> None:
    obj = bpy.context.object
    if _needs_check(obj):
        inspect(obj)
        redraw.viewports()


@persistent
def _on_depsgraph_update(_scene, depsgraph) -> None:
    changed = {
        update.id.original.session_uid
        for update in depsgraph.updates
        if isinstance(update.id, bpy.types.Mesh) and update.is_updated_geometry
    }
    for key in [key for key in _cache if key[0] in changed]:
        del _cache[key]
    if (
        not bpy.app.background
        and not bpy.app.timers.is_registered(_inspect_active)
        and _needs_check(depsgraph.view_layer.objects.active)
    ):
        bpy.app.timers.register(_inspect_active, first_interval=_DELAY)


def register() -> None:
    bpy.app.handlers.depsgraph_update_post.append(_on_depsgraph_update)


def unregister() -> None:
    bpy.app.handlers.depsgraph_update_post.remove(_on_depsgraph_update)
    if bpy.app.timers.is_registered(_inspect_active):
        bpy.app.timers.unregister(_inspect_active)
    _cache.clear()
