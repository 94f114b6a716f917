"""Asks Blender to redraw the areas that show the add-on's state."""

import bpy


def tag_viewports() -> None:
    """Tags every 3D viewport and Image Editor, with its sidebar, and the preferences for a redraw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "IMAGE_EDITOR", "PREFERENCES"):
                area.tag_redraw()
