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


class ReferencePanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_reference"
    bl_parent_id = "ORBIT_TEXTURE_PT_scene"
    bl_label = "Reference of the Active Object"

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.object.type == "MESH"

    def draw(self, context):
        self.layout.template_ID(context.object.orbit_texture, "reference", open="image.open")
