"""Install, update, repair and remove the backend's environment. A dialog first says what that needs."""

import shutil

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import BoolProperty, EnumProperty

from ...backend.api import paths
from ...backend.api.torch_builds import DISK_GIGABYTES
from ..jobs import queue_timer
from ..jobs.queue import queue
from ..setup import environment_state, install_process
from ..setup.environment_state import EnvironmentState
from ..ui.text import DIALOG_WIDTH, draw_wrapped_text

_DEVICE_NAMES = {"cuda": "NVIDIA", "rocm": "AMD", "mps": "Apple", "cpu": "CPU"}


def start_installer(title: str, *arguments: str, on_end=lambda setup: None) -> None:
    """Runs install.py in the background and shows its progress.

    Args:
        title: of the task, for the panels.
        on_end: called with the ended process.
    """

    def handle_end(done: install_process.InstallRun) -> None:
        environment_state.refresh(try_it=True)
        on_end(done)

    install_process.start(title, *arguments, on_end=handle_end)
    queue_timer.start()


def is_installer_idle(cls) -> bool:
    """Whether nothing is being installed; otherwise sets the poll message of an operator's class."""
    if install_process.busy():
        cls.poll_message_set("Another installation task is running. Its progress is shown in the preferences")
        return False
    return True


def _is_backend_idle(cls) -> bool:
    if queue.busy:
        cls.poll_message_set("A job is running or waiting. Wait until it has finished, or cancel it")
        return False
    return is_installer_idle(cls)


class InstallBackend(bpy.types.Operator):
    bl_idname = "orbit_texture.install_backend"
    bl_label = "Install Backend"
    bl_description = (
        "Install the worker's environment into its own folder. The size is shown before anything is "
        "downloaded. An unfinished installation is continued, an existing one is updated"
    )

    device: EnumProperty(
        name="Device",
        description="What the worker computes on",
        default="auto",
        items=[
            ("auto", "Automatic", "The installed one, else what this computer has"),
            *((build, f"{_DEVICE_NAMES[build]} ({size:g} GB)", "") for build, size in DISK_GIGABYTES.items()),
        ],
    )
    anew: BoolProperty(
        name="From Scratch",
        description="Delete the existing environment first, in case its files are broken",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if not bpy.app.online_access:
            cls.poll_message_set("Blender is offline. Allow Online Access in the preferences, under System")
            return False
        return _is_backend_idle(cls)

    def invoke(self, context, event):
        if not self.properties.is_property_set("anew"):
            # Called from an error: the existing environment does not work.
            self.anew = environment_state.refresh() is not EnvironmentState.ABSENT
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH, confirm_text="Install")

    def draw(self, context):
        column = self.layout.column()
        folder = paths.backend_environment()
        draw_wrapped_text(
            column,
            context,
            rpt_(
                "Download Python packages and PyTorch into {}? A new environment needs up to {:g} GB for a "
                "CPU and {:g} GB for an NVIDIA graphics card. {:.0f} GB are free."
            ).format(folder, DISK_GIGABYTES["cpu"], DISK_GIGABYTES["cuda"], _free_gigabytes(folder)),
            width=DIALOG_WIDTH,
        )
        draw_wrapped_text(
            column,
            context,
            "You can keep working in Blender meanwhile. The Python of your system and of Blender are not "
            "changed.",
            width=DIALOG_WIDTH,
        )
        column.prop(self, "device")
        column.prop(self, "anew")

    def execute(self, context):
        # Otherwise it would restart the worker while the files change.
        queue.close()
        start_installer(
            "Installing the backend",
            "backend",
            "--torch",
            self.device,
            *(["--anew"] if self.anew else []),
            on_end=_check_after_install,
        )
        return {"FINISHED"}


def _check_after_install(done: install_process.InstallRun) -> None:
    """Runs Check Installation, which also finds the available devices."""
    if done.status == 0:
        bpy.ops.orbit_texture.doctor()


class RemoveBackend(bpy.types.Operator):
    bl_idname = "orbit_texture.remove_backend"
    bl_label = "Remove Backend"
    bl_description = "Delete the worker's environment. Models, jobs, and the takes in your files are kept"

    @classmethod
    def poll(cls, context):
        if environment_state.get() is EnvironmentState.ABSENT:
            cls.poll_message_set("The backend is not installed")
            return False
        return _is_backend_idle(cls)

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove the backend?",
            confirm_text="Remove",
            message=rpt_("The folder {} will be deleted.").format(paths.backend_environment()),
        )

    def execute(self, context):
        queue.close()
        start_installer("Removing the backend", "backend", "--remove")
        return {"FINISHED"}


class StopSetup(bpy.types.Operator):
    bl_idname = "orbit_texture.stop_setup"
    bl_label = "Stop"
    bl_description = "Stop the installation. It continues from there when started again"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        if install_process.busy():
            install_process.current().stop()
        return {"FINISHED"}


def _free_gigabytes(folder) -> float:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9
