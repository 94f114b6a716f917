"""Asks Blender to redraw the areas that show the add-on's state."""

from collections.abc import Iterator

import bpy


def tag_viewports() -> None:
    """Tags every 3D viewport and Image Editor, with its sidebar, for a redraw."""
    for area in find_areas("VIEW_3D", "IMAGE_EDITOR"):
        area.tag_redraw()


def tag_panels() -> None:
    """Tags what shows progress, the sidebars and the preferences: drawing the scene again many times a second
    would slow down what draws it, and the worker with it."""
    for area in find_areas("PREFERENCES"):
        area.tag_redraw()
    for area in find_areas("VIEW_3D", "IMAGE_EDITOR"):
        for region in area.regions:
            if region.type == "UI":
                region.tag_redraw()


def find_areas(*types: str) -> Iterator[bpy.types.Area]:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in types:
                yield area
