"""Viewports in Solid, which show an object's texture only if they are told to."""

import bpy

from .redraw import find_areas

_PLAIN = {"WIREFRAME", "SOLID"}
"""Kinds of shading that show no material."""


def can_show(space: bpy.types.Space | None) -> bool:
    """Whether a space is a viewport that shows no texture now."""
    if space is None or space.type != "VIEW_3D":
        return False
    shading = space.shading
    return shading.type in _PLAIN and (shading.type, shading.color_type) != ("SOLID", "TEXTURE")


def show(space: bpy.types.SpaceView3D) -> None:
    """Makes a viewport show textures, in Solid, which needs neither light nor shaders."""
    space.shading.type, space.shading.color_type = "SOLID", "TEXTURE"


def show_everywhere() -> None:
    """Makes every viewport that shows no texture show it."""
    for area in find_areas("VIEW_3D"):
        if can_show(area.spaces.active):
            show(area.spaces.active)
