"""Download Weights: shows what a model needs, its size and its licences; then the worker downloads it."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import EnumProperty

from ...backend.api.weights import MODELS, format_size
from ..jobs import queue_timer
from ..jobs.queue import queue
from ..setup import weights
from ..ui.text import DIALOG_WIDTH, draw_wrapped_text


class DownloadWeights(bpy.types.Operator):
    bl_idname = "orbit_texture.download_weights"
    bl_label = "Download Weights"
    bl_description = (
        "Download a model's weights. Their size and licences are shown first. A download that was stopped is "
        "resumed"
    )

    model: EnumProperty(
        name="Model",
        description="The model to download; by default one that the panel's settings need",
        items=[(needs.name, needs.title, "") for needs in MODELS.values()],
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if not bpy.app.online_access:
            cls.poll_message_set("Blender is offline. Allow Online Access in the preferences, under System")
            return False
        if any(entry.download and not entry.is_settled for entry in queue.entries):
            cls.poll_message_set("Weights are already being downloaded")
            return False
        return True

    def invoke(self, context, event):
        weights.refresh()
        if not self.properties.is_property_set("model") and (
            missing := weights.missing(context.scene.orbit_texture.to_settings())
        ):
            self.model = missing[0].name
        if weights.is_installed(MODELS[self.model]):
            self.report({"INFO"}, "The weights are already on this computer")
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH, confirm_text="Download")

    def draw(self, context):
        column = self.layout.column()
        needs = MODELS[self.model]
        column.label(text=f"{needs.title} ({needs.purpose})", translate=False)
        for source in needs.sources:
            row = column.row()
            row.label(text=source.repository, translate=False)
            row.label(text=f"{format_size(source.size)}, {source.license}", translate=False)
        for terms in dict.fromkeys(source.terms for source in needs.sources):
            draw_wrapped_text(column, context, terms, width=DIALOG_WIDTH)
        sizes = map(format_size, (needs.size, needs.installed_size, needs.peak))
        draw_wrapped_text(
            column,
            context,
            rpt_(
                "Download {} under these terms? They take up about {} on disk, and {} during the download. "
                "Texturing waits meanwhile. You can cancel at any time and resume later."
            ).format(*sizes),
            width=DIALOG_WIDTH,
        )

    def execute(self, context):
        queue.download(self.model, f"{MODELS[self.model].title}'s weights")
        queue_timer.start()
        return {"FINISHED"}
