"""Open Reference: the file browser with thumbnails of images; the chosen one becomes the reference."""

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ...backend.api.errors import OrbitError
from ..jobs import recent_references, reference


class ImageBrowser:
    """The properties that the file browser reads: it shows folders and images, as thumbnails."""

    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    display_type: EnumProperty(
        items=[
            (kind, kind.replace("_", " ").title(), "")
            for kind in ("DEFAULT", "LIST_VERTICAL", "LIST_HORIZONTAL", "THUMBNAIL")
        ],
        default="THUMBNAIL",
        options={"HIDDEN", "SKIP_SAVE"},
    )


class OpenReference(ImageBrowser, bpy.types.Operator):
    bl_idname = "orbit_texture.open_reference"
    bl_label = "Open Reference"
    bl_description = "Choose an image file as the reference"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})

    @classmethod
    def description(cls, context, properties):
        return properties.filepath or cls.bl_description

    def invoke(self, context, event):
        image = context.scene.orbit_texture.find_image(context.object)
        if not self.filepath and image and image.filepath and not image.packed_file:
            # The next one is probably beside it.
            self.filepath = bpy.path.abspath(image.filepath, library=image.library)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        try:
            file = reference.from_file(self.filepath)
            image = bpy.data.images.load(str(file), check_existing=True)
        except (OrbitError, RuntimeError) as error:
            self.report({"ERROR"}, getattr(error, "message", str(error)))
            return {"CANCELLED"}
        recent_references.add_recent(file)
        obj = context.object
        if obj and obj.orbit_texture.reference and obj.is_editable:
            obj.orbit_texture.reference = image
        else:
            context.scene.orbit_texture.image = image
        return {"FINISHED"}
