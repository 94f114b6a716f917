"""Texture Selected: the panel's reference onto the selected objects."""

import bpy

from ...backend.api.errors import InvalidImage, InvalidTarget, OrbitError
from .. import reference, timer
from ..queue import queue


class TextureSelected(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_selected"
    bl_label = "Texture Selected"
    bl_description = "Texture the selected mesh objects after the reference image. Their meshes stay as they are; the result is a new take"

    @classmethod
    def poll(cls, context):
        if context.scene.orbit_texture.image is None:
            cls.poll_message_set("Choose a reference image first")
            return False
        if context.object and queue.running_on(context.object):
            cls.poll_message_set("The active object is being textured already")
            return False
        return True

    def execute(self, context):
        settings = context.scene.orbit_texture
        try:
            start_selected(context.selected_objects, settings.image, settings.to_settings())
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}


def start_selected(objects, image: bpy.types.Image | None, settings) -> None:
    """Starts a job for each selected mesh.

    Raises:
        OrbitError: no job could start.
    """
    if not objects:
        raise InvalidTarget("Nothing is selected. Select the mesh object to texture.")
    if image is None:
        raise InvalidImage("There is no reference image. Choose one in the Orbit Texture panel.")
    picture = reference.from_image(image)
    entries = queue.add_each(objects, lambda obj: picture, settings)
    timer.start()
    if all(entry.error for entry in entries):
        raise entries[0].error
