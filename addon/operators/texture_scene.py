"""Texture Scene: many objects, each after a reference of its own, as a queue."""

from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import OrbitError
from ..headless.rules import Plan, read_file
from ..jobs import queue_timer, reference
from ..jobs.queue import queue
from ..objects import mesh_io
from ..viewport import reference_view


class TextureScene(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_scene"
    bl_label = "Texture Scene"
    bl_description = (
        "Texture every selected or every visible mesh object. Each follows the rules, else its own "
        "reference, else the picture in the folder that is called like it, else the reference above. Objects "
        "that share a mesh are textured once, and so is what a collection holds, however often it is "
        "instanced"
    )

    def execute(self, context):
        settings = context.scene.orbit_texture
        objects = context.selected_objects if settings.targets == "SELECTED" else context.visible_objects
        meshes = [obj for obj in mesh_io.meshes(objects) if not queue.is_texturing(obj)]
        if not meshes:
            self.report(
                {"ERROR"},
                "There is no selected mesh object that is not being textured already."
                if settings.targets == "SELECTED"
                else "There is no visible mesh object that is not being textured already.",
            )
            return {"CANCELLED"}
        try:
            plan = _plan(context)
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        entries = queue.add_each(meshes, plan.reference_of, plan.settings_of)
        queue_timer.start()
        for sentence in plan.list_unused_rules(meshes):
            self.report({"WARNING"}, sentence)
        if failed := [entry for entry in entries if entry.error]:
            self.report(
                {"WARNING"},
                rpt_("{} of {} objects could not start; the list says why.").format(
                    len(failed), len(entries)
                ),
            )
        return {"FINISHED"}


def _plan(context: bpy.types.Context) -> Plan:
    """What the panel says; raises :class:`InvalidSettings` for a file of rules that cannot be read."""
    settings = context.scene.orbit_texture
    return Plan(
        lambda obj: reference_view.settings_for(obj, context),
        settings.image and (lambda: reference.from_image(settings.image)),
        settings.folder,
        read_file(Path(bpy.path.abspath(settings.rules))) if settings.rules else (),
    )
