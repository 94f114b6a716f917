"""Cancel: stops one job or all of them. For all, it first asks whether to keep the objects of the batch that
are done, as ``--partial`` says on the command line."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import EnumProperty, StringProperty

from ..jobs.queue import queue


class Cancel(bpy.types.Operator):
    bl_idname = "orbit_texture.cancel"
    bl_label = "Cancel"
    bl_description = "Stop texturing. Finished stages are kept, so that the next run is shorter"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job to cancel; all of them if empty")
    partial: EnumProperty(
        name="Finished Objects",
        description="What to do with the objects that are finished",
        default="KEEP",
        options={"SKIP_SAVE"},
        items=[
            ("KEEP", "Keep", "Keep the finished takes and stages"),
            (
                "DISCARD",
                "Discard",
                "Remove the takes of this batch, so that its objects look as before",
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
        self.layout.label(text=rpt_("Already done: {} of {}").format(len(done), count), translate=False)
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
            self.report({"INFO"}, rpt_("Takes removed: {}").format(len(done)))
        return {"FINISHED"}
