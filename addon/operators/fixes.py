"""The buttons that mend an error. An error names its fix; :data:`OPERATORS` is what the panel offers for it."""

import sys

import bpy
from bpy.props import StringProperty

from ...backend.api import paths
from ...backend.api.errors import OrbitError
from .. import timer
from ..queue import queue


class InstallBackend(bpy.types.Operator):
    bl_idname = "orbit_texture.install_backend"
    bl_label = "Copy Install Command"
    bl_description = "Copy the command that installs the worker's environment, to run in a terminal. It downloads about 1 GB"

    def execute(self, context):
        python = "py -3.11" if sys.platform == "win32" else "python3.11"
        context.window_manager.clipboard = f'{python} "{paths.ROOT / "install.py"}" backend'
        self.report({"INFO"}, "Copied. Run it in a terminal, then retry.")
        return {"FINISHED"}


class ObjectMode(bpy.types.Operator):
    bl_idname = "orbit_texture.object_mode"
    bl_label = "Object Mode"
    bl_description = "Leave the current mode for Object Mode"

    @classmethod
    def poll(cls, context):
        return context.object is not None

    def execute(self, context):
        bpy.ops.object.mode_set(mode="OBJECT")
        return {"FINISHED"}


class RestartWorker(bpy.types.Operator):
    bl_idname = "orbit_texture.restart_worker"
    bl_label = "Restart Worker"
    bl_description = "End the worker and start it again. Jobs go on where they were"

    def execute(self, context):
        queue.restart_server()
        timer.start()
        return {"FINISHED"}


class Retry(bpy.types.Operator):
    bl_idname = "orbit_texture.retry"
    bl_label = "Retry"
    bl_description = "Try this job again; stages that were finished are not repeated"

    job: StringProperty(description="The job to try again")

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None:
            return {"CANCELLED"}
        try:
            queue.retry(entry)
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        timer.start()
        return {"FINISHED"}
