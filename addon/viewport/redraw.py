"""Has Blender draw the viewports with their panels, and the preferences, again."""

import bpy


def tag_viewports() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "PREFERENCES"):
                area.tag_redraw()
