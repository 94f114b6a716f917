"""Check Installation: has install.py look at everything. Copy Diagnostics: what to send to someone who
helps."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..setup import diagnostics, weights
from .backend import is_free, start


class Doctor(bpy.types.Operator):
    bl_idname = "orbit_texture.doctor"
    bl_label = "Check Installation"
    bl_description = (
        "Look at the environment, the graphics card, memory, disk, models and the worker, and say what is "
        "wrong and what mends it"
    )

    @classmethod
    def poll(cls, context):
        return is_free(cls)

    def execute(self, context):
        weights.refresh()
        start("Checking the installation", "doctor", "--json", on_end=diagnostics.on_doctor_end)
        return {"FINISHED"}


class CopyDiagnostics(bpy.types.Operator):
    bl_idname = "orbit_texture.copy_diagnostics"
    bl_label = "Copy Diagnostics"
    bl_description = (
        "Copy versions, system, graphics card and what Check Installation found to the clipboard, without "
        "your name and the folders of your home"
    )

    def execute(self, context):
        context.window_manager.clipboard = diagnostics.report_text()
        self.report({"INFO"}, rpt_("Copied. Read it before you send it."))
        return {"FINISHED"}
