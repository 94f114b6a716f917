"""The panels in the sidebars, the tools of the Image Editor, and the entries in Blender's menus. Draw
functions only draw."""

import bpy

from . import announcements, mask_tools, menus, queue_panel
from .image_drop import ImageDrop
from .main_panel import MainPanel
from .mask_tools import MaskPanel
from .pictures_panel import ORBIT_TEXTURE_UL_pictures, PicturesPanel
from .presets_panel import ORBIT_TEXTURE_PT_presets
from .queue_panel import QueuePanel
from .recent_references import RecentReferences
from .reference_check import ReferenceCheckPanel
from .scene_panel import ScenePanel
from .settings_panel import SettingsPanel
from .takes_panel import TakesPanel

PANELS = (
    MainPanel,
    ReferenceCheckPanel,
    PicturesPanel,
    ORBIT_TEXTURE_PT_presets,
    SettingsPanel,
    ScenePanel,
    QueuePanel,
    TakesPanel,
    MaskPanel,
    ImageDrop,
)


def register() -> None:
    bpy.utils.register_class(RecentReferences)
    bpy.utils.register_class(ORBIT_TEXTURE_UL_pictures)
    for cls in PANELS:
        bpy.utils.register_class(cls)
    mask_tools.register()
    queue_panel.register()
    announcements.register()
    menus.register()


def unregister() -> None:
    menus.unregister()
    announcements.unregister()
    queue_panel.unregister()
    mask_tools.unregister()
    for cls in reversed(PANELS):
        bpy.utils.unregister_class(cls)
    bpy.utils.unregister_class(ORBIT_TEXTURE_UL_pictures)
    bpy.utils.unregister_class(RecentReferences)
