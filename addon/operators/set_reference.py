"""Set Reference: image files dropped on an object become the object's reference and its further pictures."""

from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import CollectionProperty, StringProperty
from bpy_extras import view3d_utils
from mathutils import Vector

from ...backend.api.errors import OrbitError
from ...backend.api.picture import find_side
from ..jobs import recent_references, reference
from .pictures import add_pictures


class SetReference(bpy.types.Operator):
    bl_idname = "orbit_texture.set_reference"
    bl_label = "Orbit Texture: Set Reference"
    bl_description = (
        "Use this image as the reference of the object under the mouse, and select the object. Of several, "
        "the front or else the first is the reference, and the others are more pictures of it"
    )
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    filepath: StringProperty(subtype="FILE_PATH", description="The image file", options={"SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE"})
    object_name: StringProperty(
        name="Object", description="Name of the object; the active one if empty", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def invoke(self, context, event):
        if obj := _object_under_mouse(context, event):
            self.object_name = obj.name
        return self.execute(context)

    def _sort_files(self) -> list[Path]:
        """The files, the one that leads first."""
        files = [Path(self.directory) / entry.name for entry in self.files if entry.name]
        if len(files) < 2:
            return files or [self.filepath]
        return sorted(files, key=lambda file: find_side(file.stem) != "front")

    def execute(self, context):
        obj = context.view_layer.objects.get(self.object_name) if self.object_name else context.object
        if obj is None or obj.type != "MESH":
            self.report({"ERROR"}, "There is no mesh object under the mouse, and none is active.")
            return {"CANCELLED"}
        lead, *more = self._sort_files()
        try:
            file = reference.from_file(lead)
            image = bpy.data.images.load(str(file), check_existing=True)
        except (OrbitError, RuntimeError) as error:
            self.report({"ERROR"}, getattr(error, "message", str(error)))
            return {"CANCELLED"}
        recent_references.add_recent(file)
        obj.orbit_texture.reference = image
        if more:
            obj.orbit_texture.pictures.clear()
        for problem in add_pictures(obj.orbit_texture, image, more):
            self.report({"WARNING"}, problem)
        for other in context.selected_objects:
            other.select_set(False)
        obj.select_set(True)
        context.view_layer.objects.active = obj
        self.report({"INFO"}, rpt_("The reference of {} is now {}").format(obj.name, image.name))
        return {"FINISHED"}


def _object_under_mouse(context, event) -> bpy.types.Object | None:
    """The mesh object under the mouse, if any."""
    area = context.area
    region = (
        next((region for region in area.regions if region.type == "WINDOW"), None)
        if area and area.type == "VIEW_3D"
        else None
    )
    if region is None:
        return None
    mouse, view = (event.mouse_x - region.x, event.mouse_y - region.y), area.spaces.active.region_3d
    return ray_cast_mesh(
        context,
        view3d_utils.region_2d_to_origin_3d(region, view, mouse),
        view3d_utils.region_2d_to_vector_3d(region, view, mouse),
    )


def ray_cast_mesh(context, origin: Vector, ray: Vector) -> bpy.types.Object | None:
    """The mesh object that a ray hits first."""
    hit, *_, obj, _matrix = context.scene.ray_cast(context.evaluated_depsgraph_get(), origin, ray)
    return obj if hit and obj.type == "MESH" else None
