"""Image files dropped on a viewport, from the file browser or the desktop."""

import bpy

from ..jobs import reference


class ImageDrop(bpy.types.FileHandler):
    bl_idname = "ORBIT_TEXTURE_FH_image"
    bl_label = "Reference for Orbit Texture"
    bl_import_operator = "orbit_texture.set_reference"
    bl_file_extensions = ";".join(reference.EXTENSIONS)

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type == "VIEW_3D" and context.mode == "OBJECT"
