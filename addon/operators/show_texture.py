"""Show Texture: shows textures in a viewport in Solid, in which Blender opens."""

import bpy

from ..viewport import solid_texture


class ShowTexture(bpy.types.Operator):
    bl_idname = "orbit_texture.show_texture"
    bl_label = "Show Texture"
    bl_description = (
        "Show textures in this viewport: its shading becomes Solid with the colour Texture, without light or "
        "shaders. Material Preview and Rendered show them, too"
    )

    @classmethod
    def poll(cls, context):
        return context.space_data is not None and context.space_data.type == "VIEW_3D"

    def execute(self, context):
        solid_texture.show(context.space_data)
        return {"FINISHED"}
