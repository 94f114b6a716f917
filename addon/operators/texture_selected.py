"""Texture Selected: textures the selected objects from the panel's reference."""

import bpy

from ...backend.api.errors import OrbitError
from ..jobs import queue_timer, reference
from ..jobs.queue import queue
from ..jobs.submission import JobInputs
from ..viewport import reference_view


class TextureSelected(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_selected"
    bl_label = "Texture Selected"
    bl_description = (
        "Texture the selected mesh objects from the reference image. The result is a new take. The meshes "
        "are not changed"
    )

    @classmethod
    def poll(cls, context):
        if context.scene.orbit_texture.image is None:
            cls.poll_message_set("Choose a reference image first")
        elif not context.selected_objects:
            cls.poll_message_set("Nothing is selected. Select the mesh object to texture")
        elif context.object and queue.is_texturing(context.object):
            cls.poll_message_set("The active object is already being textured")
        else:
            return True
        return False

    def execute(self, context):
        try:
            image = reference.from_image(context.scene.orbit_texture.image)
            entries = queue.add_each(
                context.selected_objects,
                lambda obj: JobInputs(image, reference_view.settings_with_view(obj, context)),
            )
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        queue_timer.start()
        if all(entry.error for entry in entries):
            self.report({"ERROR"}, entries[0].error.message)
            return {"CANCELLED"}
        return {"FINISHED"}
