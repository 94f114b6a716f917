"""Checks the reference without being asked: when the user has chosen a reference, an object or a view, has
drawn on the mask, or has changed the mesh. Nothing happens when a file is opened."""

import bpy
from bpy.app.handlers import persistent

from ...backend.api.errors import OrbitError
from ..jobs import queue_timer
from ..setup import environment_state
from ..setup.devices import ADDON_ID
from ..viewport import redraw
from .checks import checks

PATIENCE = 0.2
"""Seconds after the last change before the reference is checked, since a slider changes many times."""

_active_uid: int | None = None
"""Of the object that was active at the last update; None before the first one."""


def request_later() -> None:
    """Checks the reference soon, if that is wanted and possible then."""
    if not _has_window() or not _is_wanted():
        return
    if bpy.app.timers.is_registered(_request):
        bpy.app.timers.unregister(_request)
    bpy.app.timers.register(_request, first_interval=PATIENCE)


def request_now() -> None:
    """Checks the reference now, if that is wanted and possible."""
    context = bpy.context
    obj = context.object
    if not _is_wanted() or obj is None or obj.type != "MESH" or obj.mode != "OBJECT" or not obj.select_get():
        return
    if context.scene.orbit_texture.find_image(obj) is None or not environment_state.is_installed():
        return
    try:
        checks.request(obj, context)
    except OrbitError:
        return  # the panel and Texture Selected say what is wrong
    if _has_window():
        queue_timer.start()
        redraw.tag_viewports()


def _request() -> None:
    request_now()


def _is_wanted() -> bool:
    addon = bpy.context.preferences.addons.get(ADDON_ID)
    return addon is not None and addon.preferences.check_reference


def _has_window() -> bool:
    """Whether there are timers: without a window, scripts ask when they want to."""
    return not bpy.app.background


@persistent
def _on_depsgraph_update(scene, depsgraph) -> None:
    global _active_uid
    if depsgraph.mode != "VIEWPORT":
        return
    obj = getattr(bpy.context, "object", None)
    uid = obj.session_uid if obj else 0
    chosen, _active_uid = _active_uid not in (None, uid), uid
    if obj is None or obj.type != "MESH" or obj.mode != "OBJECT":
        return
    changed = any(
        update.is_updated_geometry or update.is_updated_transform
        for update in depsgraph.updates
        if update.id.original == obj
    )
    if chosen or (changed and checks.find(obj, bpy.context.scene.orbit_texture)):
        request_later()


@persistent
def _on_undo(_scene, _depsgraph=None) -> None:
    """Undo changes properties without telling; what was asked before is known."""
    if checks.kept:
        request_later()


@persistent
def _on_load(_file) -> None:
    global _active_uid
    checks.clear()
    _active_uid = None


def register() -> None:
    bpy.app.handlers.depsgraph_update_post.append(_on_depsgraph_update)
    bpy.app.handlers.undo_post.append(_on_undo)
    bpy.app.handlers.redo_post.append(_on_undo)
    bpy.app.handlers.load_post.append(_on_load)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_on_load)
    bpy.app.handlers.redo_post.remove(_on_undo)
    bpy.app.handlers.undo_post.remove(_on_undo)
    bpy.app.handlers.depsgraph_update_post.remove(_on_depsgraph_update)
    if bpy.app.timers.is_registered(_request):
        bpy.app.timers.unregister(_request)
    checks.clear()
