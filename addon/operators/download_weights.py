"""Download Weights: shows what OrbitPainter needs, how large it is and under which terms; the worker brings it."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.weights import ORBITPAINTER, gigabytes
from .. import timer, weights
from ..queue import queue
from ..ui.text import wrapped

NAME = "OrbitPainter's weights"
_WIDTH = 460


class DownloadWeights(bpy.types.Operator):
    bl_idname = "orbit_texture.download_weights"
    bl_label = "Download Weights"
    bl_description = "Download and convert OrbitPainter's weights, after you have seen their size and licences. A download that was " \
        "stopped goes on where it ended"

    @classmethod
    def poll(cls, context):
        if not bpy.app.online_access:
            cls.poll_message_set("Blender is offline. Allow Online Access in the preferences, under System")
            return False
        if any(entry.download and not entry.settled for entry in queue.entries):
            cls.poll_message_set("They are being downloaded already")
            return False
        return True

    def invoke(self, context, event):
        if weights.look():
            self.report({"INFO"}, "They are on this computer already")
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self, width=_WIDTH, confirm_text="Download")

    def draw(self, context):
        column = self.layout.column()
        for source in ORBITPAINTER.sources:
            row = column.row()
            row.label(text=source.repository, translate=False)
            row.label(text=f"{gigabytes(source.size)}, {source.license}", translate=False)
        for terms in dict.fromkeys(source.terms for source in ORBITPAINTER.sources):
            wrapped(column, context, terms, width=_WIDTH)
        wrapped(column, context, rpt_(
            "Download {} under these terms? About 59 GB stay, and 90 GB are taken on the way. Texturing waits meanwhile. "
            "Cancel it at any time: it goes on where it ended.").format(gigabytes(ORBITPAINTER.size)), width=_WIDTH)

    def execute(self, context):
        queue.download(ORBITPAINTER.name, NAME)
        timer.start()
        return {"FINISHED"}
