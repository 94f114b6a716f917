"""The extension's page in Blender's preferences: the backend, where its files are, the models, and what is
wrong."""

import os
from dataclasses import fields

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import StringProperty

from ..backend.api import paths
from ..backend.api.settings import Settings
from ..backend.api.weights import MODELS, format_size
from .jobs.queue import queue
from .setup import devices, diagnostics, install_process, weights
from .ui.setup import draw_setup
from .ui.text import wrapped

_PACKAGE = __package__.partition(".addon")[0]
_ICONS = {"ok": "CHECKMARK", "warning": "ERROR", "problem": "CANCEL"}
_VARIABLES = {"home": "ORBIT_TEXTURE_HOME", "models": "ORBIT_TEXTURE_MODELS"}
"""By these the backend and install.py know a folder; they inherit them from Blender."""

_DEFAULT = Settings()
_DEVICE = next(entry for entry in fields(Settings) if entry.name == "device").metadata["doc"]

_set_here: set[str] = set()
"""The variables that are set by the page; those that were set before Blender started stay as they are."""


def _use_folders(preferences, context) -> None:
    for name, variable in _VARIABLES.items():
        if variable in os.environ and variable not in _set_here:
            continue
        if folder := getattr(preferences, name):
            os.environ[variable] = bpy.path.abspath(folder)
            _set_here.add(variable)
        elif variable in _set_here:
            _set_here.remove(variable)
            del os.environ[variable]
    # The next job connects to the server of that folder.
    queue.close()
    weights.look()
    devices.look()
    install_process.look()


def _search_devices(preferences, context, typed: str) -> list[tuple[str, str]]:
    found = [(device.name, devices.title(device)) for device in devices.known()]
    return [(_DEFAULT.device, rpt_("the first card, else the processor")), *found]


class Preferences(bpy.types.AddonPreferences):
    bl_idname = _PACKAGE

    home: StringProperty(
        name="Files",
        subtype="DIR_PATH",
        update=_use_folders,
        description=(
            "Folder of the backend, its jobs and logs. Empty for the usual one. What is in the old one is "
            "not moved"
        ),
    )
    models: StringProperty(
        name="Models",
        subtype="DIR_PATH",
        update=_use_folders,
        description=(
            "Folder of the models' weights. Empty for one beside the other files. What is in the old one is "
            "not moved"
        ),
    )

    device: StringProperty(
        name="Device",
        default=_DEFAULT.device,
        description=_DEVICE,
        search=_search_devices,
        search_options={"SUGGESTION"},
    )

    def draw(self, context):
        width = context.region.width / context.preferences.system.ui_scale - 120
        self._draw_backend(self.layout.box(), context, width)
        self._draw_folders(self.layout.box())
        _draw_models(self.layout.box())
        _draw_doctor(self.layout.box(), context, width)

    def _draw_backend(self, layout, context, width) -> None:
        if not install_process.is_installed():
            layout.label(text="The backend is not installed", icon="ERROR")
            layout.operator("orbit_texture.install_backend").anew = False
        else:
            layout.label(
                text="The backend is installed; its worker runs"
                if queue.connected
                else "The backend is installed; its worker starts with the first job",
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
        for name, variable in _VARIABLES.items():
            if variable in os.environ and variable not in _set_here:
                column.label(
                    text=rpt_("{}: set by {}").format(iface_(self.bl_rna.properties[name].name), variable),
                    translate=False,
                )
            else:
                column.prop(self, name)
        column.prop(self, "device")
        if (name := devices.chosen()) != _DEFAULT.device and devices.known() and not devices.meant(name):
            column.label(
                text=rpt_("This computer has no device '{}'").format(name), icon="ERROR", translate=False
            )
        column.label(text=rpt_("Files: {}").format(paths.home()), translate=False)


def _draw_models(layout) -> None:
    for needs in MODELS.values():
        row = layout.row()
        row.label(
            text=f"{needs.title}, {format_size(needs.installed_size)}",
            icon="CHECKMARK" if weights.there(needs) else "BLANK1",
            translate=False,
        )
        licences = dict.fromkeys(source.license for source in needs.sources)
        row.label(text=", ".join(licences), translate=False)
        if weights.there(needs):
            row.label(text="On this computer")
        else:
            row.operator("orbit_texture.download_weights", text="Download").model = needs.name


def _draw_doctor(layout, context, width) -> None:
    row = layout.row()
    row.operator("orbit_texture.doctor")
    row.operator("orbit_texture.copy_diagnostics")
    for finding in diagnostics.findings():
        wrapped(layout, context, f"{finding.name}: {finding.detail}", icon=_ICONS[finding.state], width=width)
        if finding.state == "ok":
            continue
        if finding.button:
            name, properties = finding.button
            button = layout.operator(f"orbit_texture.{name}")
            for key, value in properties.items():
                setattr(button, key, value)
        else:
            wrapped(layout, context, finding.fix, icon="BLANK1", width=width)


def register() -> None:
    bpy.utils.register_class(Preferences)
    if addon := bpy.context.preferences.addons.get(_PACKAGE):
        _use_folders(addon.preferences, bpy.context)


def unregister() -> None:
    bpy.utils.unregister_class(Preferences)
    while _set_here:
        os.environ.pop(_set_here.pop(), None)
