"""The confidence of a take, drawn over the object in the viewport. Nothing in the file is changed for it, so
it cannot be saved by accident.

Red surface was filled in or barely seen, green was well seen by the painted views. While a mask for Repaint
Region is being painted, Blender shows only the mask, so the take with the mask in magenta is drawn instead.
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
    vec3 magenta = vec3(1.0, 0.0, 1.0);
    color = vec4(mix(texture(base_color, texel).rgb, magenta, 0.6 * texture(image, texel).r), 1.0);
}
"""

_draw_handler = None


def overlay_image(obj: bpy.types.Object, kind: str) -> bpy.types.Image | None:
    """The image to draw over an object; None if there is nothing to draw. UDIM tiles are not supported.

    Args:
        kind: "confidence" or "coverage" for that map of the shown take, "region" for the mask that is being
            painted.
    """
    if kind == "region":
        return obj.orbit_texture.region if obj.mode == "TEXTURE_PAINT" else None
    index = takes.find_shown_index(obj)
    image = material.find_image(obj.orbit_texture.takes[index].material, kind) if index >= 0 else None
    return image if image and image.source != "TILED" else None


def draw_overlay(obj: bpy.types.Object, kind: str, matrix) -> None:
    """Draws the overlay of an object into the bound framebuffer.

    Args:
        kind: as for :func:`overlay_image`.
        matrix: (4, 4) from world space to clip space.
    """
    image, index = overlay_image(obj, kind), takes.find_shown_index(obj)
    take = obj.orbit_texture.takes[index] if image and index >= 0 else None
    if take and kind == "region":
        base_color = material.find_image(take.material, "base_color") or image
        surface_shader.draw_on_surface(
            obj, take.uv_layer, {"image": image, "base_color": base_color}, _MASK_FRAGMENT_SHADER, matrix
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
        description="Drawn over the active object in the viewports; it is not part of the take",
        items=[
            ("NONE", "Off", "Show the take without an overlay"),
            (
                "CONFIDENCE",
                "Confidence",
                "Show how well the painted views saw the surface: green for well, red for barely",
            ),
            (
                "COVERAGE",
                "Coverage",
                "Show what a painted view saw in green, and what was filled in from nearby in red",
            ),
        ],
        options={"SKIP_SAVE"},
        update=lambda properties, context: redraw.tag_viewports(),
    )
    _draw_handler = bpy.types.SpaceView3D.draw_handler_add(_draw_in_viewport, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    bpy.types.SpaceView3D.draw_handler_remove(_draw_handler, "WINDOW")
    del bpy.types.WindowManager.orbit_texture_overlay
