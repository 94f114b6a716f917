"""Texture Scene: queues many objects, each with its own reference."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import OrbitError
from ..headless.picture_sources import from_panel
from ..headless.rules import Plan, read_file
from ..jobs import queue_timer
from ..jobs.queue import queue
from ..objects import mesh_io
from ..objects.file_names import resolve_path
from ..viewport import reference_view


class TextureScene(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_scene"
    bl_label = "Texture Scene"
    bl_description = (
        "Texture all selected or all visible mesh objects. The reference comes from the rules, else from "
        "the object itself, else from the image of the same name in the folder, else from the panel. "
        "Objects that share a mesh are textured once, and so are the objects of an instanced collection"
    )

    def execute(self, context):
        settings = context.scene.orbit_texture
        objects = context.selected_objects if settings.targets == "SELECTED" else context.visible_objects
        meshes = [obj for obj in mesh_io.mesh_objects(objects) if not queue.is_texturing(obj)]
        if not meshes:
            self.report(
                {"ERROR"},
                "No mesh object is selected, or all of them are already being textured."
                if settings.targets == "SELECTED"
                else "No mesh object is visible, or all of them are already being textured.",
            )
            return {"CANCELLED"}
        try:
            plan = _plan_from_panel(context)
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        entries = queue.add_each(meshes, plan.inputs_of)
        queue_timer.start()
        for sentence in plan.list_unused_rules(meshes):
            self.report({"WARNING"}, sentence)
        if failed := [entry for entry in entries if entry.error]:
            self.report(
                {"WARNING"},
                rpt_("{} of {} objects could not be started. The list of jobs says why.").format(
                    len(failed), len(entries)
                ),
            )
        return {"FINISHED"}


def _plan_from_panel(context: bpy.types.Context) -> Plan:
    """The plan that the panel describes. Raises :class:`InvalidSettings` if the rules file cannot be read."""
    settings = context.scene.orbit_texture
    return Plan(
        lambda obj: reference_view.settings_with_view(obj, context),
        from_panel(settings, settings.image),
        settings.folder,
        read_file(resolve_path(settings.rules)) if settings.rules else (),
        uses_pins=settings.view == "PINS",
    )
