"""The extension's page in Blender's preferences: where the worker lives and how to get or restart it."""

import bpy

from ..backend.api import paths
from .queue import queue

_PACKAGE = __package__.removesuffix(".addon")


class Preferences(bpy.types.AddonPreferences):
    bl_idname = _PACKAGE

    def draw(self, context):
        column = self.layout.column()
        column.label(text="Worker connected" if queue.connected else "Worker not connected (it starts with the first job)")
        column.label(text=f"Its files: {paths.home()}", translate=False)
        row = column.row()
        row.operator("orbit_texture.install_backend")
        row.operator("orbit_texture.restart_worker")


def register() -> None:
    bpy.utils.register_class(Preferences)


def unregister() -> None:
    bpy.utils.unregister_class(Preferences)
