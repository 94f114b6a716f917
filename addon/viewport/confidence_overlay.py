"""How far a take can be trusted, drawn over the object in the viewport. Nothing in the file is changed for
it, so it cannot be saved.

Red is filled or hardly seen, green is well seen. While a mask for Repaint Region is painted, the take with
that in magenta is drawn instead, for Blender shows nothing but the mask then.
"""

import bpy
from bpy.props import EnumProperty

from ..objects import material, takes
from . import redraw, surface_shader

_CONFIDENCE_FRAGMENT_SHADER = """
void main() {
    float value = 2.0 * texture(image, texel).r;
    color = vec4(min(2.0 - value, 1.0), min(value, 1.0), 0.0, 0.8);
}
"""
_MASK_FRAGMENT_SHADER = """
void main() {
    color = vec4(mix(texture(worn, texel).rgb, vec3(1.0, 0.0, 1.0), 0.6 * texture(image, texel).r), 1.0);
}
"""

_draw_handler = None


def overlay_image(obj: bpy.types.Object, kind: str) -> bpy.types.Image | None:
    """The image that is laid over an object: of the take that it wears, "confidence" or "coverage"; None
    where there is nothing to show.

    Layouts on UDIM tiles are not shown. The kind "region" is the mask that is being painted.
    """
    if kind == "region":
        return obj.orbit_texture.region if obj.mode == "TEXTURE_PAINT" else None
    index = takes.shown_index(obj)
    image = material.find_image(obj.orbit_texture.takes[index].material, kind) if index >= 0 else None
    return image if image and image.source != "TILED" else None


def draw_overlay(obj: bpy.types.Object, kind: str, matrix) -> None:
    """Draws the overlay of an object into the framebuffer that is bound.

    Args:
        kind: "confidence", "coverage" or "region".
        matrix: (4, 4), from the world's space to the clip space.
    """
    image, index = overlay_image(obj, kind), takes.shown_index(obj)
    take = obj.orbit_texture.takes[index] if image and index >= 0 else None
    if take and kind == "region":
        base_color = material.find_image(take.material, "base_color") or image
        surface_shader.draw_on_surface(
            obj, take.uv_layer, {"image": image, "worn": base_color}, _MASK_FRAGMENT_SHADER, matrix
        )
    elif take:
        surface_shader.draw_on_surface(
            obj, take.uv_layer, {"image": image}, _CONFIDENCE_FRAGMENT_SHADER, matrix
        )


def _draw_in_viewport() -> None:
    context, kind = bpy.context, bpy.context.window_manager.orbit_texture_overlay.lower()
    if context.object is None or not context.object.visible_get():
        return
    if overlay_image(context.object, "region"):
        kind = "region"
    if kind != "none":
        draw_overlay(context.object, kind, context.region_data.perspective_matrix)


def register() -> None:
    global _draw_handler
    bpy.types.WindowManager.orbit_texture_overlay = EnumProperty(
        name="Overlay",
        description="What is drawn over the active object in the viewports; it is not part of the take",
        items=[
            ("NONE", "Off", "Show the take as it is"),
            (
                "CONFIDENCE",
                "Confidence",
                "Show how well the painted views saw the surface: green well, red hardly",
            ),
            (
                "COVERAGE",
                "Coverage",
                "Show what a painted view saw, green, and what was filled from nearby, red",
            ),
        ],
        options={"SKIP_SAVE"},
        update=lambda properties, context: redraw.tag_viewports(),
    )
    _draw_handler = bpy.types.SpaceView3D.draw_handler_add(_draw_in_viewport, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    bpy.types.SpaceView3D.draw_handler_remove(_draw_handler, "WINDOW")
    del bpy.types.WindowManager.orbit_texture_overlay
