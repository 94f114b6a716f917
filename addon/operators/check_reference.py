"""Check Reference: finds out what the reference shows. Choose View takes one of the views that it has
found."""

import bpy
from bpy.props import IntProperty

from ...backend.api.errors import OrbitError
from ..jobs import queue_timer
from ..reference_check.checks import checks


class CheckReference(bpy.types.Operator):
    bl_idname = "orbit_texture.check_reference"
    bl_label = "Check Reference"
    bl_description = (
        "Find the object in the reference, and the view from which it shows the active object. This "
        "takes some seconds and changes nothing"
    )
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        obj = context.object
        if context.scene.orbit_texture.find_image(obj) is None:
            cls.poll_message_set("Choose a reference image first")
        elif obj is None or obj.type != "MESH" or obj.mode != "OBJECT":
            cls.poll_message_set("Make a mesh object active, in Object Mode")
        else:
            return True
        return False

    def execute(self, context):
        try:
            checks.request(context.object, context, again=True)
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        queue_timer.start()
        return {"FINISHED"}


class ChooseView(bpy.types.Operator):
    bl_idname = "orbit_texture.choose_view"
    bl_label = "Choose View"
    bl_description = "The reference shows this side: it is set as the angles of Side Shown"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    index: IntProperty(description="Number of the view among those that were found", min=0)

    def execute(self, context):
        panel = context.scene.orbit_texture
        offer = checks.find_offer(context.object, panel)
        views = offer[0].offered_views if offer else []
        if self.index >= len(views):
            self.report({"ERROR"}, "This view is no longer known. Press Check Reference.")
            return {"CANCELLED"}
        panel.view, panel.azimuth, panel.elevation = views[self.index]
        try:
            checks.request(context.object, context)
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        queue_timer.start()
        return {"FINISHED"}
