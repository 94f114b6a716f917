"""Check Installation: runs the checks of install.py. Copy Diagnostics: a text for a bug report."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..setup import diagnostics, weights
from .backend import is_installer_idle, start_installer


class Doctor(bpy.types.Operator):
    bl_idname = "orbit_texture.doctor"
    bl_label = "Check Installation"
    bl_description = (
        "Check the environment, the graphics card, memory, disk, models and the worker, and list any "
        "problems with how to fix them"
    )

    @classmethod
    def poll(cls, context):
        return is_installer_idle(cls)

    def execute(self, context):
        weights.refresh()
        start_installer("Checking the installation", "doctor", "--json", on_end=diagnostics.on_doctor_end)
        return {"FINISHED"}


class CopyDiagnostics(bpy.types.Operator):
    bl_idname = "orbit_texture.copy_diagnostics"
    bl_label = "Copy Diagnostics"
    bl_description = (
        "Copy versions, system, graphics card and the results of Check Installation to the clipboard, "
        "without your user name and home folder"
    )

    def execute(self, context):
        context.window_manager.clipboard = diagnostics.report_text()
        self.report({"INFO"}, rpt_("Copied. Read it before you share it."))
        return {"FINISHED"}
