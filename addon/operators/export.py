"""Export Textures and Export GLB: write the shown take of the active object to files."""

from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ...backend.api.errors import OrbitError
from ..objects import export, takes
from ..objects.file_names import resolve_path


class _ExportOperator:
    @classmethod
    def poll(cls, context):
        if context.object is None or takes.find_shown_index(context.object) < 0:
            cls.poll_message_set("The active object shows no take")
            return False
        return True

    def execute(self, context):
        try:
            return self.run(context.object, takes.find_shown_index(context.object))
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}


class ExportTextures(_ExportOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.export_textures"
    bl_label = "Export Textures"
    bl_description = "Write the textures of the shown take as image files into a folder"

    directory: StringProperty(subtype="DIR_PATH")
    format: EnumProperty(
        name="Format", items=[(key, image_format.title, "") for key, image_format in export.FORMATS.items()]
    )
    naming: StringProperty(
        name="Names",
        default=export.DEFAULT_NAMING,
        description="File names. {object}, {take}, {map} and {tile} are replaced",
    )
    pack: BoolProperty(
        name="Pack for glTF",
        description="Write metallic and roughness as one image: roughness in green, metallic in blue",
    )

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, obj: bpy.types.Object, index: int) -> set:
        files = export.write_textures(
            obj, index, resolve_path(self.directory), self.format, self.naming, self.pack
        )
        text = rpt_("Wrote {}").format(files[0].name) if len(files) == 1 else None
        self.report({"INFO"}, text or rpt_("Wrote {} files").format(len(files)))
        return {"FINISHED"}


class ExportGLB(_ExportOperator, bpy.types.Operator):
    bl_idname = "orbit_texture.export_glb"
    bl_label = "Export GLB"
    bl_description = "Write the active object with its shown take as a GLB file"

    filepath: StringProperty(subtype="FILE_PATH")
    filter_glob: StringProperty(default="*.glb", options={"HIDDEN"})

    def invoke(self, context, event):
        if not self.filepath:
            name = export.glb_file_name(context.object, takes.find_shown_index(context.object))
            self.filepath = bpy.path.abspath(f"//{name}") if bpy.data.filepath else name
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, obj: bpy.types.Object, index: int) -> set:
        file = Path(bpy.path.ensure_ext(str(resolve_path(self.filepath)), ".glb"))
        for text in export.write_glb(obj, index, file):
            self.report({"WARNING"}, text)
        self.report({"INFO"}, rpt_("Wrote {}").format(file.name))
        return {"FINISHED"}
