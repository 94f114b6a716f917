"""Texture Selected: the panel's reference onto the selected objects."""

import bpy

from ...backend.api.errors import OrbitError
from ..jobs import queue_timer, reference
from ..jobs.queue import queue
from ..viewport import reference_view


class TextureSelected(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_selected"
    bl_label = "Texture Selected"
    bl_description = (
        "Texture the selected mesh objects after the reference image. Their meshes stay as they are; the "
        "result is a new take"
    )

    @classmethod
    def poll(cls, context):
        if context.scene.orbit_texture.image is None:
            cls.poll_message_set("Choose a reference image first")
        elif not context.selected_objects:
            cls.poll_message_set("Nothing is selected. Select the mesh object to texture")
        elif context.object and queue.is_texturing(context.object):
            cls.poll_message_set("The active object is being textured already")
        else:
            return True
        return False

    def execute(self, context):
        try:
            picture = reference.from_image(context.scene.orbit_texture.image)
            entries = queue.add_each(
                context.selected_objects,
                lambda obj: picture,
                lambda obj: reference_view.settings_for(obj, context),
            )
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        queue_timer.start()
        if all(entry.error for entry in entries):
            self.report({"ERROR"}, entries[0].error.message)
            return {"CANCELLED"}
        return {"FINISHED"}
