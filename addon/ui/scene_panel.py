"""Texture Scene: which objects to texture, and where their references are."""

import bpy

from .base import OrbitPanel


class ScenePanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_scene"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Texture Scene"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        settings = context.scene.orbit_texture
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.row().prop(settings, "targets", expand=True)
        layout.prop(settings, "folder")
        layout.prop(settings, "rules")
        layout.operator("orbit_texture.texture_scene", icon="SCENE_DATA")
        layout.operator("orbit_texture.open_report", icon="URL")
