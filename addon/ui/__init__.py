"""The panels in the sidebars, the tools of the Image Editor, and the entries in Blender's menus. Draw
functions only draw."""

import bpy

from . import mask_tools, menus
from .image_drop import ImageDrop
from .main_panel import MainPanel
from .mask_tools import MaskPanel
from .preflight_panel import PreflightPanel
from .queue_panel import QueuePanel
from .scene_panel import ReferencePanel, ScenePanel
from .settings_panel import SettingsPanel
from .takes_panel import TakesPanel

PANELS = (
    MainPanel,
    TakesPanel,
    SettingsPanel,
    PreflightPanel,
    QueuePanel,
    ScenePanel,
    ReferencePanel,
    MaskPanel,
    ImageDrop,
)


def register() -> None:
    for cls in PANELS:
        bpy.utils.register_class(cls)
    mask_tools.register()
    menus.register()


def unregister() -> None:
    menus.unregister()
    mask_tools.unregister()
    for cls in reversed(PANELS):
        bpy.utils.unregister_class(cls)
