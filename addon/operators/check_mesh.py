"""Check Mesh: looks for flipped faces and overlapping UVs in meshes that are too large for the automatic
check."""

import bpy

from ..checks import inspection


class CheckMesh(bpy.types.Operator):
    bl_idname = "orbit_texture.check_mesh"
    bl_label = "Check Mesh"
    bl_description = (
        "Look for flipped faces and overlapping UVs in the active object. This takes a few seconds for a "
        "million triangles"
    )

    @classmethod
    def poll(cls, context):
        obj = context.object
        if obj is None or obj.type != "MESH" or obj.mode != "OBJECT" or not obj.data.polygons:
            cls.poll_message_set("Select a mesh object with faces, in Object Mode")
            return False
        return True

    def execute(self, context):
        inspection.inspect(context.object)
        return {"FINISHED"}
