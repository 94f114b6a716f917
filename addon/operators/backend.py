"""Install, update, repair and remove the backend's environment, after a question that says what it takes."""

import shutil

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import BoolProperty, EnumProperty

from ...backend.api import paths
from ...backend.api.torch_builds import DISK_GIGABYTES
from ..jobs import queue_timer
from ..jobs.queue import queue
from ..setup import install_process
from ..ui.text import wrapped

_WIDTH = 460
_DEVICES = {"cuda": "NVIDIA", "rocm": "AMD", "mps": "Apple", "cpu": "CPU"}


def start(title: str, *arguments: str, on_end=lambda run: None) -> None:
    """Runs install.py, and shows how far it is."""
    install_process.start(title, *arguments, on_end=on_end)
    queue_timer.start()


def is_free(cls) -> bool:
    """Nothing is being installed; says so in the poll message of an operator's class."""
    if install_process.busy():
        cls.poll_message_set("Wait until the one that runs has ended: see the preferences")
        return False
    return True


def _is_unused(cls) -> bool:
    if queue.busy:
        cls.poll_message_set("A job is not done. Wait for it, or cancel it")
        return False
    return is_free(cls)


class InstallBackend(bpy.types.Operator):
    bl_idname = "orbit_texture.install_backend"
    bl_label = "Install Backend"
    bl_description = (
        "Install the worker's environment into a folder of its own, after you have seen its size. One that "
        "was begun is finished, one that is there is brought up to date"
    )

    device: EnumProperty(
        name="Device",
        description="What the worker computes on",
        default="auto",
        items=[
            ("auto", "Automatic", "What is there already, else what this computer has"),
            *((build, f"{_DEVICES[build]} ({size:g} GB)", "") for build, size in DISK_GIGABYTES.items()),
        ],
    )
    anew: BoolProperty(
        name="From Scratch",
        description="Delete what is there first, in case its files are broken",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if not bpy.app.online_access:
            cls.poll_message_set("Blender is offline. Allow Online Access in the preferences, under System")
            return False
        return _is_unused(cls)

    def invoke(self, context, event):
        if not self.properties.is_property_set("anew"):
            # An error asks for it: what is there does not do.
            self.anew = install_process.refresh()
        return context.window_manager.invoke_props_dialog(self, width=_WIDTH, confirm_text="Install")

    def draw(self, context):
        column = self.layout.column()
        folder = paths.backend_environment()
        wrapped(
            column,
            context,
            rpt_(
                "Download Python packages and PyTorch into {}? A new environment takes up to {:g} GB for a "
                "CPU and {:g} GB for an NVIDIA card; {:.0f} GB are free."
            ).format(folder, DISK_GIGABYTES["cpu"], DISK_GIGABYTES["cuda"], _free_gigabytes(folder)),
            width=_WIDTH,
        )
        wrapped(
            column,
            context,
            "Blender stays free meanwhile. Your system's Python and Blender's are not changed.",
            width=_WIDTH,
        )
        column.prop(self, "device")
        column.prop(self, "anew")

    def execute(self, context):
        # It would start a worker again while its files change.
        queue.close()
        start(
            "Installing the backend",
            "backend",
            "--torch",
            self.device,
            *(["--anew"] if self.anew else []),
            on_end=_installed,
        )
        return {"FINISHED"}


def _installed(done: install_process.InstallRun) -> None:
    """Goes on to the check, which also finds the devices that there are."""
    if done.status == 0:
        bpy.ops.orbit_texture.doctor()


class RemoveBackend(bpy.types.Operator):
    bl_idname = "orbit_texture.remove_backend"
    bl_label = "Remove Backend"
    bl_description = "Delete the worker's environment. Models, jobs, and the takes in your files stay"

    @classmethod
    def poll(cls, context):
        if not install_process.is_installed():
            cls.poll_message_set("It is not installed")
            return False
        return _is_unused(cls)

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove the backend?",
            confirm_text="Remove",
            message=rpt_("{} is deleted.").format(paths.backend_environment()),
        )

    def execute(self, context):
        queue.close()
        start("Removing the backend", "backend", "--remove")
        return {"FINISHED"}


class StopSetup(bpy.types.Operator):
    bl_idname = "orbit_texture.stop_setup"
    bl_label = "Stop"
    bl_description = "Stop it. Started again, it goes on where it was"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        if install_process.busy():
            install_process.current().stop()
        return {"FINISHED"}


def _free_gigabytes(folder) -> float:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9
