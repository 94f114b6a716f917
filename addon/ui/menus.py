"""Entries in Blender's menus: the Object menu, which F3 searches, its context menu, the menu of material
slots, and the Face menu of Edit Mode and its context menu."""

import bpy

from ..objects import region
from .base import draw_texture_button

_MENUS = ("VIEW3D_MT_object", "VIEW3D_MT_object_context_menu", "MATERIAL_MT_context_menu")
_EDIT_MENUS = ("VIEW3D_MT_edit_mesh_faces", "VIEW3D_MT_edit_mesh_context_menu")


def _draw(menu, context) -> None:
    menu.layout.separator()
    draw_texture_button(menu.layout.column(), context)
    if context.object and context.object.orbit_texture.takes:
        menu.layout.operator("orbit_texture.next_take", icon="LOOP_FORWARDS")
        menu.layout.operator("orbit_texture.compare_takes", icon="ARROW_LEFTRIGHT")


def _draw_in_edit_mode(menu, context) -> None:
    if region.has_selected_faces(context.object):
        menu.layout.separator()
        menu.layout.operator("orbit_texture.repaint_region", icon="TPAINT_HLT")


def register() -> None:
    for name in _MENUS:
        getattr(bpy.types, name).append(_draw)
    for name in _EDIT_MENUS:
        getattr(bpy.types, name).append(_draw_in_edit_mode)


def unregister() -> None:
    for name in _EDIT_MENUS:
        getattr(bpy.types, name).remove(_draw_in_edit_mode)
    for name in _MENUS:
        getattr(bpy.types, name).remove(_draw)
