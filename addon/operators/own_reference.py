"""Own Reference: gives the active object its own reference, or takes it away again."""

import bpy


class OwnReference(bpy.types.Operator):
    bl_idname = "orbit_texture.own_reference"
    bl_label = "Own Reference"
    bl_description = (
        "Keep this image as the active object's own reference, so that another image for all objects does "
        "not change it. Press again to use the one for all objects"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        obj = context.object
        if obj is None or obj.type != "MESH":
            cls.poll_message_set("Make a mesh object active")
        elif not obj.is_editable:
            cls.poll_message_set("The object is linked from another file. Make it local first")
        elif context.scene.orbit_texture.find_image(obj) is None:
            cls.poll_message_set("Choose a reference image first")
        else:
            return True
        return False

    def execute(self, context):
        own, panel = context.object.orbit_texture, context.scene.orbit_texture
        is_added = own.reference is None
        own.reference = panel.image if is_added else None
        own.pictures.clear()
        for picture in panel.pictures if is_added else ():
            copy = own.pictures.add()
            for name in ("image", "mask", "view", "azimuth", "elevation"):
                setattr(copy, name, getattr(picture, name))
        return {"FINISHED"}
