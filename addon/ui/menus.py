"""Entries in Blender's menus: the Object menu, which F3 searches, its context menu, and the menu of material
slots."""

import bpy

from .base import draw_texture_button

_MENUS = ("VIEW3D_MT_object", "VIEW3D_MT_object_context_menu", "MATERIAL_MT_context_menu")


def _draw(menu, context) -> None:
    menu.layout.separator()
    draw_texture_button(menu.layout.column(), context)
    if context.object and context.object.orbit_texture.takes:
        menu.layout.operator("orbit_texture.next_take", icon="LOOP_FORWARDS")
        menu.layout.operator("orbit_texture.compare_takes", icon="ARROW_LEFTRIGHT")


def register() -> None:
    for name in _MENUS:
        getattr(bpy.types, name).append(_draw)


def unregister() -> None:
    for name in _MENUS:
        getattr(bpy.types, name).remove(_draw)
