"""The active object's takes, with the picture of the one it wears."""

import bpy

from .. import material, takes
from .panel import OrbitPanel
from .text import wrapped


class TakesPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_takes"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Takes"

    @classmethod
    def poll(cls, context):
        return context.object is not None and bool(context.object.orbit_texture.takes)

    def draw(self, context):
        layout, obj = self.layout, context.object
        shown = takes.shown(obj)
        for index, take in enumerate(obj.orbit_texture.takes):
            row = layout.row(align=True)
            row.operator("orbit_texture.show_take", text=take.name, icon="HIDE_OFF" if index == shown else "HIDE_ON",
                         depress=index == shown).index = index
            row.operator("orbit_texture.remove_take", text="", icon="TRASH").index = index
        if shown >= 0 and (shader := obj.orbit_texture.takes[shown].material):
            if image := material.base_color(shader):
                layout.template_icon(layout.icon(image), scale=8)
            layout.label(text="Mesh untouched", icon="CHECKMARK")
            for note in obj.orbit_texture.takes[shown].notes.splitlines():
                wrapped(layout, context, note, icon="INFO")
