"""The N-panel. Draw functions only draw."""

import bpy

from .panel import MainPanel
from .queue_panel import QueuePanel
from .scene_panel import ReferencePanel, ScenePanel
from .takes_panel import TakesPanel

_CLASSES = (MainPanel, QueuePanel, TakesPanel, ScenePanel, ReferencePanel)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
