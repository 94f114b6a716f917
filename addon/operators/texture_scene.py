"""Texture Scene: many objects, each after a reference of its own, as a queue."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import InvalidImage
from .. import reference, timer, view
from ..client import Reference
from ..queue import queue


class TextureScene(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_scene"
    bl_label = "Texture Scene"
    bl_description = ("Texture every selected or every visible mesh object. Each follows its own reference, else the picture in the folder "
                      "that is called like it, else the reference above. Objects that share a mesh are textured once")

    def execute(self, context):
        settings = context.scene.orbit_texture
        objects = context.selected_objects if settings.targets == "SELECTED" else context.visible_objects
        meshes = [obj for obj in objects if obj.type == "MESH" and not queue.running_on(obj)]
        if not meshes:
            self.report({"ERROR"}, "There is no selected mesh object that is not being textured already." if settings.targets == "SELECTED"
                        else "There is no visible mesh object that is not being textured already.")
            return {"CANCELLED"}
        entries = queue.add_each(meshes, lambda obj: reference_of(obj, settings),
                                 lambda obj: view.settings_for(obj, context))
        timer.start()
        if failed := [entry for entry in entries if entry.error]:
            self.report({"WARNING"}, rpt_("{} of {} objects could not start; the list says why.").format(len(failed), len(entries)))
        return {"FINISHED"}


def reference_of(obj: bpy.types.Object, settings) -> Reference:
    """The object's own reference, else the folder's picture that is called like it, else the one for all.

    Raises:
        InvalidImage: there is none, or it cannot be used.
    """
    if obj.orbit_texture.reference:
        return reference.from_image(obj.orbit_texture.reference)
    if settings.folder and (file := reference.find(settings.folder, obj.name)):
        return file
    if settings.image:
        return reference.from_image(settings.image)
    raise InvalidImage(f"There is no reference for '{obj.name}'. Give the object one, put {obj.name}.png into the folder, "
                       "or choose one image for all.")
