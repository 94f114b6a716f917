"""Download Weights: shows what a model needs, how large it is and under which terms; the worker brings it."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import EnumProperty

from ...backend.api.weights import MODELS, gigabytes
from ..jobs import queue_timer
from ..jobs.queue import queue
from ..setup import weights
from ..ui.text import wrapped

_WIDTH = 460


class DownloadWeights(bpy.types.Operator):
    bl_idname = "orbit_texture.download_weights"
    bl_label = "Download Weights"
    bl_description = (
        "Download a model's weights, after you have seen their size and licences. A download that was "
        "stopped goes on where it ended"
    )

    model: EnumProperty(
        name="Model",
        description="Whose weights to download; those that the panel's settings lack, if not given",
        items=[(needs.name, needs.title, "") for needs in MODELS.values()],
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if not bpy.app.online_access:
            cls.poll_message_set("Blender is offline. Allow Online Access in the preferences, under System")
            return False
        if any(entry.download and not entry.is_settled for entry in queue.entries):
            cls.poll_message_set("They are being downloaded already")
            return False
        return True

    def invoke(self, context, event):
        weights.refresh()
        if not self.properties.is_property_set("model") and (
            missing := weights.missing(context.scene.orbit_texture.to_settings())
        ):
            self.model = missing[0].name
        if weights.is_installed(MODELS[self.model]):
            self.report({"INFO"}, "They are on this computer already")
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self, width=_WIDTH, confirm_text="Download")

    def draw(self, context):
        column = self.layout.column()
        needs = MODELS[self.model]
        for source in needs.sources:
            row = column.row()
            row.label(text=source.repository, translate=False)
            row.label(text=f"{gigabytes(source.size)}, {source.license}", translate=False)
        for terms in dict.fromkeys(source.terms for source in needs.sources):
            wrapped(column, context, terms, width=_WIDTH)
        sizes = map(gigabytes, (needs.size, needs.stays, needs.peak))
        wrapped(
            column,
            context,
            rpt_(
                "Download {} under these terms? About {} stay, and {} are taken on the way. Texturing waits "
                "meanwhile. Cancel it at any time: it goes on where it ended."
            ).format(*sizes),
            width=_WIDTH,
        )

    def execute(self, context):
        queue.download(self.model, f"{MODELS[self.model].title}'s weights")
        queue_timer.start()
        return {"FINISHED"}
