"""How far a take can be trusted, drawn over the object in the viewport. Nothing in the file is changed for it, so it cannot be saved.

Red is filled or hardly seen, green is well seen.
"""

import bpy
from bpy.props import EnumProperty

from . import material, redraw, surface, takes

_FRAGMENT = """
void main() {
    float value = 2.0 * texture(image, texel).r;
    color = vec4(min(2.0 - value, 1.0), min(value, 1.0), 0.0, 0.8);
}
"""

_handle = None


def image_of(obj: bpy.types.Object, kind: str) -> bpy.types.Image | None:
    """The image that is laid over an object: of the take that it wears, "confidence" or "coverage"; None where there is nothing to show.

    Layouts on UDIM tiles are not shown.
    """
    index = takes.shown(obj)
    image = material.texture(obj.orbit_texture.takes[index].material, kind) if index >= 0 else None
    return image if image and image.source != "TILED" else None


def draw(obj: bpy.types.Object, kind: str, matrix) -> None:
    """Draws the overlay of an object into the framebuffer that is bound.

    Args:
        kind: "confidence" or "coverage".
        matrix: (4, 4), from the world's space to the clip space.
    """
    if image := image_of(obj, kind):
        surface.draw(obj, obj.orbit_texture.takes[takes.shown(obj)].uv_layer, image, _FRAGMENT, matrix)


def _draw_in_viewport() -> None:
    context, kind = bpy.context, bpy.context.window_manager.orbit_texture_overlay
    if kind != "NONE" and context.object and context.object.visible_get():
        draw(context.object, kind.lower(), context.region_data.perspective_matrix)


def register() -> None:
    global _handle
    bpy.types.WindowManager.orbit_texture_overlay = EnumProperty(
        name="Overlay", description="What is drawn over the active object in the viewports; it is not part of the take",
        items=[("NONE", "Off", "Show the take as it is"),
               ("CONFIDENCE", "Confidence", "Show how well the painted views saw the surface: green well, red hardly"),
               ("COVERAGE", "Coverage", "Show what a painted view saw, green, and what was filled from nearby, red")],
        options={"SKIP_SAVE"}, update=lambda properties, context: redraw.viewports())
    _handle = bpy.types.SpaceView3D.draw_handler_add(_draw_in_viewport, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    del bpy.types.WindowManager.orbit_texture_overlay
