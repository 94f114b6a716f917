"""The part of Orbit Texture that lives in Blender: the only code that imports bpy."""

from . import operators, preferences, properties, ui
from .checks import inspection
from .headless import command
from .jobs import previews, queue_timer, recent_references
from .operators import correct_mask
from .reference_check import automatic, mask_overlay, projection_overlay
from .viewport import confidence_overlay, shaders, surface_shader

_MODULES = (
    properties,
    preferences,
    previews,
    recent_references,
    inspection,
    shaders,
    surface_shader,
    confidence_overlay,
    projection_overlay,
    mask_overlay,
    correct_mask,
    operators,
    ui,
    queue_timer,
    automatic,
    command,
)


def register() -> None:
    for module in _MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(_MODULES):
        module.unregister()
