"""Cancel: stops one job, or all of them; then it asks what becomes of those that are done, as ``--partial``
says it without a window."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import EnumProperty, StringProperty

from ..jobs.queue import queue


class Cancel(bpy.types.Operator):
    bl_idname = "orbit_texture.cancel"
    bl_label = "Cancel"
    bl_description = "Stop texturing. Stages that are finished are kept, so the next run is shorter"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job to cancel; all of them if empty")
    partial: EnumProperty(
        name="Done Already",
        description="What becomes of the objects that went well",
        default="KEEP",
        options={"SKIP_SAVE"},
        items=[
            ("KEEP", "Keep", "Keep the takes that are done, and the stages that are finished"),
            (
                "DISCARD",
                "Discard",
                "Remove the takes that this batch has made, so that its objects look as before",
            ),
        ],
    )

    def invoke(self, context, event):
        if self.job or not queue.list_finished_of_open_batches():
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, title="Cancel All", confirm_text="Cancel All")

    def draw(self, context):
        done = queue.list_finished_of_open_batches()
        batches = {entry.batch for entry in done}
        count = sum(entry.batch in batches for entry in queue.entries)
        self.layout.label(
            text=rpt_("{} of {} objects are done already").format(len(done), count), translate=False
        )
        self.layout.row().prop(self, "partial", expand=True)

    def execute(self, context):
        done = [] if self.job or self.partial == "KEEP" else queue.list_finished_of_open_batches()
        for entry in queue.entries:
            if not entry.is_settled and self.job in ("", entry.job):
                queue.cancel(entry)
        for entry in done:
            queue.discard_take(entry)
            queue.dismiss(entry)
        if done:
            bpy.ops.ed.undo_push(message="Discard Takes")
            self.report({"INFO"}, rpt_("{} takes were removed.").format(len(done)))
        return {"FINISHED"}
