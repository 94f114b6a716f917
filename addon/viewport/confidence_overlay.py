"""The confidence of a take, drawn over the object in the viewport. Nothing in the file is changed for it, so
it cannot be saved by accident.

Red surface was filled in or barely seen, green was well seen by the painted views; the confidence in a draft
is where its colours are from. A legend in the viewport's corner says so. While a mask for Repaint Region is
being painted, Blender shows only the mask, so the take with the mask in magenta is drawn instead.
"""

import blf
import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import EnumProperty

from ..objects import material, takes
from . import redraw, surface_shader
from .shaders import draw_shape

_CONFIDENCE_FRAGMENT_SHADER = """
void main() {
    float value = 2.0 * texture(image, texel).r;
    color = vec4(min(2.0 - value, 1.0), min(value, 1.0), 0.0, 0.8);
}
"""
_SOURCE_COLORS = {
    "From the picture": (0.1, 0.75, 0.25),
    "Mirrored": (0.2, 0.5, 1.0),
    "Invented": (1.0, 0.5, 0.05),
}
"""What a draft's colours are from, in the order of the channels of its map."""

_SOURCE_FRAGMENT_SHADER = """
void main() {
    vec3 source = texture(image, texel).rgb;
    source /= max(source.r + source.g + source.b, 0.001);
    color = vec4(source.r * vec3%s + source.g * vec3%s + source.b * vec3%s, 0.8);
}
""" % tuple(map(str, _SOURCE_COLORS.values()))  # noqa: UP031 (GLSL has braces)

_MASK_FRAGMENT_SHADER = """
void main() {
    vec3 magenta = vec3(1.0, 0.0, 1.0);
    color = vec4(mix(texture(base_color, texel).rgb, magenta, 0.6 * texture(image, texel).r), 1.0);
}
"""

_LEGENDS = {
    "color_source": _SOURCE_COLORS,
    "confidence": {"Well seen": (0.0, 1.0, 0.0), "Hardly seen": (1.0, 0.0, 0.0)},
    "coverage": {"Seen": (0.0, 1.0, 0.0), "Filled in": (1.0, 0.0, 0.0)},
}
"""What the colours of each map mean."""

_LEGEND_PLACE = 70, 24
"""Pixels at scale 1 from the viewport's lower left corner to the legend, beside the toolbar."""

_draw_handlers = []


def overlay_image(obj: bpy.types.Object, kind: str) -> bpy.types.Image | None:
    """The image to draw over an object; None if there is nothing to draw. UDIM tiles are not supported.

    Args:
        kind: "confidence" or "coverage" for that map of the shown take, "region" for the mask that is being
            painted. The confidence in a draft is where its colours are from.
    """
    if kind == "region":
        return obj.orbit_texture.region if obj.mode == "TEXTURE_PAINT" else None
    name = map_name(obj, kind)
    index = takes.find_shown_index(obj)
    image = material.find_image(obj.orbit_texture.takes[index].material, name) if name else None
    return image if image and image.source != "TILED" else None


def map_name(obj: bpy.types.Object, kind: str) -> str:
    """The name of the shown take's map for a kind of overlay, "" if it has none."""
    index = takes.find_shown_index(obj)
    names = ("color_source", kind) if kind == "confidence" else (kind,)
    shown = obj.orbit_texture.takes[index].material if index >= 0 else None
    return next((name for name in names if shown and material.find_image(shown, name)), "")


def find_legend(obj: bpy.types.Object, kind: str) -> dict[str, tuple[float, float, float]]:
    """What the colours of an overlay mean: RGB 0..1 by their meaning; empty if nothing is drawn."""
    return _LEGENDS.get(map_name(obj, kind), {}) if overlay_image(obj, kind) else {}


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
        is_source = map_name(obj, kind) == "color_source"
        shader = _SOURCE_FRAGMENT_SHADER if is_source else _CONFIDENCE_FRAGMENT_SHADER
        surface_shader.draw_on_surface(obj, take.uv_layer, {"image": image}, shader, matrix)


def _draw_in_viewport() -> None:
    context, kind = bpy.context, bpy.context.window_manager.orbit_texture_overlay.lower()
    if context.object is None or not context.object.visible_get():
        return
    if overlay_image(context.object, "region"):
        kind = "region"
    if kind != "none":
        draw_overlay(context.object, kind, context.region_data.perspective_matrix)


def _draw_legend() -> None:
    context, kind = bpy.context, bpy.context.window_manager.orbit_texture_overlay.lower()
    obj = context.object
    if kind == "none" or obj is None or not obj.visible_get() or overlay_image(obj, "region"):
        return
    scale = context.preferences.system.ui_scale
    x, y = (place * scale for place in _LEGEND_PLACE)
    blf.size(0, 13 * scale)
    for text, color in reversed(find_legend(obj, kind).items()):
        side = 12 * scale
        square = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
        draw_shape("TRI_FAN", square, (*color, 1.0))
        blf.color(0, 1.0, 1.0, 1.0, 1.0)
        blf.position(0, x + 1.6 * side, y + 1, 0)
        blf.draw(0, rpt_(text))
        y += 1.6 * side


def register() -> None:
    bpy.types.WindowManager.orbit_texture_overlay = EnumProperty(
        name="Overlay",
        description="Drawn over the active object in the viewports; it is not part of the take",
        items=[
            ("NONE", "Off", "Show the take without an overlay"),
            (
                "CONFIDENCE",
                "Confidence",
                "Show how well the painted views saw the surface or, of a draft, where its colours are from",
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
    for draw, when in ((_draw_in_viewport, "POST_VIEW"), (_draw_legend, "POST_PIXEL")):
        _draw_handlers.append(bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", when))


def unregister() -> None:
    while _draw_handlers:
        bpy.types.SpaceView3D.draw_handler_remove(_draw_handlers.pop(), "WINDOW")
    del bpy.types.WindowManager.orbit_texture_overlay
