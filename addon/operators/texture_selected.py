"""Texture Selected: textures the selected objects, each from its own reference or from the panel's."""

import bpy

from ...backend.api.errors import InvalidImage
from ..jobs import queue_timer, reference
from ..jobs.queue import queue
from ..jobs.submission import JobInputs
from ..viewport import reference_view


class TextureSelected(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_selected"
    bl_label = "Texture Selected"
    bl_description = (
        "Texture the selected mesh objects, each from its own reference if it has one, else from the one for "
        "all objects. The result is a new take. The meshes are not changed"
    )

    @classmethod
    def poll(cls, context):
        if not context.selected_objects:
            cls.poll_message_set("Nothing is selected. Select the mesh object to texture")
        elif not any(map(context.scene.orbit_texture.find_image, context.selected_objects)):
            cls.poll_message_set("Choose a reference image first")
        elif context.object and queue.is_texturing(context.object):
            cls.poll_message_set("The active object is already being textured")
        else:
            return True
        return False

    def execute(self, context):
        selected = context.selected_objects
        # A lamp among them is no failure, unless there is nothing else.
        meshes = [obj for obj in selected if obj.type == "MESH"]
        entries = queue.add_each(meshes or selected, lambda obj: _read_inputs(obj, context))
        queue_timer.start()
        if all(entry.error for entry in entries):
            self.report({"ERROR"}, entries[0].error.message)
            return {"CANCELLED"}
        return {"FINISHED"}


def _read_inputs(obj: bpy.types.Object, context: bpy.types.Context) -> JobInputs:
    """What an object's job needs.

    Raises:
        OrbitError: there is no reference for it, or it cannot be used.
    """
    image = context.scene.orbit_texture.find_image(obj)
    if image is None:
        raise InvalidImage(f"There is no reference for '{obj.name}'. Choose an image first.")
    settings = reference_view.settings_with_view(obj, context)
    is_pinned = context.scene.orbit_texture.view == "PINS"
    return JobInputs(reference.from_image(image), settings, uses_pins=is_pinned)
