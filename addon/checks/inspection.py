"""The checks of a mesh that take time, remembered until the mesh changes, so that a panel that draws looks at
no mesh."""

import bpy
from bpy.app.handlers import persistent

from ..objects import mesh_io
from ..viewport import redraw
from . import mesh_check
from .mesh_check import MeshCheck

AUTOMATIC_TRIANGLES = 20_000
"""Up to so many the active object is checked by itself, in a few hundredths of a second; larger ones when
someone asks."""

_DELAY = 0.3
"""Seconds of rest after a change before the mesh is looked at."""

_known: dict[tuple[int, str], MeshCheck] = {}
"""By the mesh's session_uid, which is never given twice, and the UV layer."""


def known(obj: bpy.types.Object) -> MeshCheck | None:
    """What is known about the object's mesh as it is now."""
    return _known.get(_key(obj))


def inspect(obj: bpy.types.Object) -> MeshCheck:
    """Checks a mesh object that is in Object Mode, and remembers it."""
    _known[_key(obj)] = found = mesh_check.check(mesh_io.read_faces(obj))
    return found


def _key(obj: bpy.types.Object) -> tuple[int, str]:
    return obj.data.session_uid, mesh_io.job_uv_layer(obj)


def _waiting(obj: bpy.types.Object | None) -> bool:
    """The object is one to be checked by itself, and is not yet."""
    return (
        obj is not None
        and obj.type == "MESH"
        and obj.mode == "OBJECT"
        and len(obj.data.polygons) > 0
        and mesh_io.triangle_count(obj.data) <= AUTOMATIC_TRIANGLES
        and known(obj) is None
    )


def _inspect_active() -> None:
    obj = bpy.context.object
    if _waiting(obj):
        inspect(obj)
        redraw.tag_viewports()


@persistent
def _changed(_scene, depsgraph) -> None:
    changed = {
        update.id.original.session_uid
        for update in depsgraph.updates
        if isinstance(update.id, bpy.types.Mesh) and update.is_updated_geometry
    }
    for key in [key for key in _known if key[0] in changed]:
        del _known[key]
    if (
        not bpy.app.background
        and not bpy.app.timers.is_registered(_inspect_active)
        and _waiting(depsgraph.view_layer.objects.active)
    ):
        bpy.app.timers.register(_inspect_active, first_interval=_DELAY)


def register() -> None:
    bpy.app.handlers.depsgraph_update_post.append(_changed)


def unregister() -> None:
    bpy.app.handlers.depsgraph_update_post.remove(_changed)
    if bpy.app.timers.is_registered(_inspect_active):
        bpy.app.timers.unregister(_inspect_active)
    _known.clear()
