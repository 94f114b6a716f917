"""The menu of the references that were chosen last."""

import bpy

from ..jobs.recent_references import list_recent

MAX_NAME = 40
"""Characters of a file's name in the menu; its tooltip has the whole path."""


class RecentReferences(bpy.types.Menu):
    bl_idname = "ORBIT_TEXTURE_MT_recent_references"
    bl_label = "Recent References"
    bl_description = "References that were chosen last, in any file"

    def draw(self, context):
        layout = self.layout
        layout.operator_context = "EXEC_DEFAULT"
        for file in list_recent():
            name = bpy.path.basename(file)
            text = name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
            layout.operator(
                "orbit_texture.open_reference", text=text, translate=False, icon="IMAGE_DATA"
            ).filepath = file
        if not list_recent():
            layout.label(text="No reference was chosen yet")
