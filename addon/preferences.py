"""The extension's page in Blender's preferences: the backend, its folders, the models, and the doctor's
findings."""

import os
from dataclasses import fields

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import BoolProperty, StringProperty

from ..backend.api import paths
from ..backend.api.settings import Settings
from ..backend.api.weights import MODELS, format_size
from .jobs.queue import queue
from .setup import devices, diagnostics, environment_state, install_process, weights
from .setup.devices import ADDON_ID
from .setup.environment_state import EnvironmentState
from .ui.messages import BACKEND_STATES
from .ui.setup import draw_setup
from .ui.text import draw_wrapped_text

_ICONS = {"ok": "CHECKMARK", "warning": "ERROR", "problem": "CANCEL"}
_ENVIRONMENT_VARIABLES = {"home": "ORBIT_TEXTURE_HOME", "models": "ORBIT_TEXTURE_MODELS"}
"""The environment variable for each folder; the backend and install.py inherit them from Blender."""

_DEFAULT = Settings()
_DEVICE_DESCRIPTION = next(entry for entry in fields(Settings) if entry.name == "device").metadata["doc"]

_own_variables: set[str] = set()
"""The variables that this page has set. Those that were set before Blender started are not changed."""


def _on_folder_change(preferences, context) -> None:
    for name, variable in _ENVIRONMENT_VARIABLES.items():
        if variable in os.environ and variable not in _own_variables:
            continue
        if folder := getattr(preferences, name):
            os.environ[variable] = bpy.path.abspath(folder)
            _own_variables.add(variable)
        elif variable in _own_variables:
            _own_variables.remove(variable)
            del os.environ[variable]
    # The next job connects to the server of the new folder.
    queue.close()
    weights.refresh()
    devices.refresh()
    environment_state.refresh(try_it=not bpy.app.background)


def _suggest_devices(preferences, context, typed: str) -> list[tuple[str, str]]:
    found = [(device.name, devices.display_name(device)) for device in devices.all_devices()]
    return [(_DEFAULT.device, rpt_("the first graphics card, else the processor")), *found]


class Preferences(bpy.types.AddonPreferences):
    bl_idname = ADDON_ID

    home: StringProperty(
        name="Files",
        subtype="DIR_PATH",
        update=_on_folder_change,
        description=(
            "Folder for the backend, its jobs and logs. Empty for the default folder. Files in the old "
            "folder are not moved"
        ),
    )
    models: StringProperty(
        name="Models",
        subtype="DIR_PATH",
        update=_on_folder_change,
        description=(
            "Folder for the models' weights. Empty for a folder inside the one for the other files. Files in "
            "the old folder are not moved"
        ),
    )

    device: StringProperty(
        name="Device",
        default=_DEFAULT.device,
        description=_DEVICE_DESCRIPTION,
        search=_suggest_devices,
        search_options={"SUGGESTION"},
    )

    check_reference: BoolProperty(
        name="Check References at Once",
        default=True,
        description=(
            "Look for the object and the view in a reference as soon as it is chosen, which takes the worker "
            "a few seconds. If this is off, press Check Reference"
        ),
    )

    show_texture: BoolProperty(
        name="Show Textures at Once",
        default=False,
        description=(
            "Make viewports in Solid or Wireframe show textures when an object was textured. If this is off, "
            "press Show Texture"
        ),
    )

    def draw(self, context):
        width = context.region.width / context.preferences.system.ui_scale - 120
        self._draw_backend(self.layout.box(), context, width)
        self._draw_folders(self.layout.box())
        _draw_models(self.layout.box())
        _draw_doctor(self.layout.box(), context, width)

    def _draw_backend(self, layout, context, width) -> None:
        if not environment_state.is_installed():
            layout.label(text=BACKEND_STATES[environment_state.get()], icon="ERROR")
            is_broken = environment_state.get() is EnvironmentState.BROKEN
            layout.operator("orbit_texture.install_backend").anew = is_broken
        else:
            layout.label(
                text="The backend is installed and its worker is running"
                if queue.is_connected
                else "The backend is installed. Its worker starts with the first job",
                icon="CHECKMARK",
            )
            row = layout.row()
            row.operator("orbit_texture.install_backend", text="Update").anew = False
            row.operator("orbit_texture.install_backend", text="Repair").anew = True
            row.operator("orbit_texture.remove_backend", text="Remove")
            row.operator("orbit_texture.restart_worker")
        draw_setup(layout, context, width)

    def _draw_folders(self, layout) -> None:
        column = layout.column()
        column.use_property_split = True
        column.enabled = not queue.busy and not install_process.busy()
        for name, variable in _ENVIRONMENT_VARIABLES.items():
            if variable in os.environ and variable not in _own_variables:
                column.label(
                    text=rpt_("{}: set by {}").format(iface_(self.bl_rna.properties[name].name), variable),
                    translate=False,
                )
            else:
                column.prop(self, name)
        column.prop(self, "device")
        if (
            (name := devices.device_setting()) != _DEFAULT.device
            and devices.all_devices()
            and not devices.resolve(name)
        ):
            column.label(
                text=rpt_("This computer has no device '{}'").format(name), icon="ERROR", translate=False
            )
        column.prop(self, "check_reference")
        column.prop(self, "show_texture")
        column.label(text=rpt_("Files: {}").format(paths.home()), translate=False)


def _draw_models(layout) -> None:
    for needs in MODELS.values():
        row = layout.row()
        row.label(
            text=f"{needs.title} ({needs.purpose}), {format_size(needs.installed_size)}",
            icon="CHECKMARK" if weights.is_installed(needs) else "BLANK1",
            translate=False,
        )
        licences = dict.fromkeys(source.license for source in needs.sources)
        row.label(text=", ".join(licences), translate=False)
        if weights.is_installed(needs):
            row.label(text="Installed")
        else:
            row.operator("orbit_texture.download_weights", text="Download").model = needs.name


def _draw_doctor(layout, context, width) -> None:
    row = layout.row()
    row.operator("orbit_texture.doctor")
    row.operator("orbit_texture.copy_diagnostics")
    for finding in diagnostics.findings():
        draw_wrapped_text(
            layout, context, f"{finding.name}: {finding.detail}", icon=_ICONS[finding.state], width=width
        )
        if finding.state == "ok":
            continue
        if finding.button:
            name, properties = finding.button
            button = layout.operator(f"orbit_texture.{name}")
            for key, value in properties.items():
                setattr(button, key, value)
        else:
            draw_wrapped_text(layout, context, finding.fix, icon="BLANK1", width=width)


def register() -> None:
    bpy.utils.register_class(Preferences)
    if addon := bpy.context.preferences.addons.get(ADDON_ID):
        _on_folder_change(addon.preferences, bpy.context)


def unregister() -> None:
    bpy.utils.unregister_class(Preferences)
    while _own_variables:
        os.environ.pop(_own_variables.pop(), None)
