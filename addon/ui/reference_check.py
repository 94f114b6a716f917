"""The reference in the main panel, and what its check has found: the outline, sentences, and the
views to choose from."""

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import OrbitError
from ...backend.api.events import State
from ..jobs import previews
from ..reference_check.check import SIDEWAYS, ReferenceCheck
from ..reference_check.checks import checks
from .job import FIXES
from .text import draw_wrapped_text

_OUTLINE_SCALE = 8.0
"""Size of the outlined reference, in units of Blender's icons."""

_CANDIDATE_COLUMNS = 2
"""Views to choose from, side by side."""

_CANDIDATE_SCALE = 4.5
"""Size of the picture of a view, in units of Blender's icons."""


def draw_reference(layout, context) -> None:
    """Draws the choice of the reference, and what is known about it for the active object."""
    panel = context.scene.orbit_texture
    check = checks.find_shown(context.object, panel)
    icons = previews.icon_ids(check.job) if check else []
    if not icons:
        layout.template_ID_preview(panel, "image", open="image.open", rows=3, cols=6)
    else:
        layout.template_ID(panel, "image", open="image.open")
        layout.template_icon(icons[0], scale=_OUTLINE_SCALE)
    if panel.image and context.object and context.object.type == "MESH":
        _draw_buttons(layout, context)
    offer = checks.find_offer(context.object, panel)
    if check:
        draw_progress(layout, checks.find(context.object, panel))
        draw_findings(layout, context, check, asks=offer is not None)
    if offer:
        _draw_candidates(layout, context, *offer)


def _draw_buttons(layout, context) -> None:
    image = context.scene.orbit_texture.image
    found = checks.find_with_camera(context.object, context.scene.orbit_texture)
    row = layout.row(align=True)
    shown = row.row(align=True)
    shown.enabled = found is not None
    shown.prop(
        context.window_manager, "orbit_texture_projection", text="Project", icon="MOD_UVPROJECT", toggle=True
    )
    row.operator("orbit_texture.correct_mask", icon="BRUSH_DATA")
    if context.object.orbit_texture.strokes:
        row.operator("orbit_texture.clear_mask", text="", icon="X")
    row.operator("orbit_texture.check_reference", text="", icon="FILE_REFRESH")
    # Blender would load the pixels here, and wait for that.
    if found and image.has_data and found.is_turned(image):
        draw_wrapped_text(layout, context, SIDEWAYS, icon="INFO")


def draw_progress(layout, check: ReferenceCheck | None) -> None:
    """Draws that a check is awaited, nothing if it is not."""
    if check is None or not checks.is_at_work(check):
        return
    event = check.event
    waiting = event.state is State.QUEUED
    text = rpt_(event.message) or iface_("Waiting") if waiting else rpt_("Checking the reference")
    layout.progress(factor=0.0 if waiting else event.fraction, text=text)


def draw_findings(layout, context, check: ReferenceCheck, asks: bool = False) -> None:
    """Draws what was found, as sentences.

    Args:
        asks: whether the user is asked for the view beside them, so that they need not say that it is
            doubtful.
    """
    if check.notice:
        draw_wrapped_text(layout, context, check.notice, icon="INFO")
    if check.error:
        _draw_error(layout, context, check.error)
    if check.report is None:
        return
    doubts = check.report["doubts"]
    for note in check.notes:
        if note not in doubts:
            draw_wrapped_text(layout, context, note, icon="INFO")
        elif not asks:
            draw_wrapped_text(layout, context, note, icon="ERROR")
    if check.report["candidates"] and not check.report["doubtful"]:
        best = check.report["candidates"][0]
        text = rpt_("View: azimuth {:.0f}°, elevation {:.0f}°").format(best["azimuth"], best["elevation"])
        layout.label(text=text, icon="CHECKMARK", translate=False)


def describe_direction(azimuth: float, elevation: float) -> str:
    """A view in words: "30° right, 13° up" is 30° to the right of the front, as one looks at it."""
    turn, rise = round((azimuth + 180) % 360 - 180), round(elevation)
    if abs(turn) in (0, 180):
        side = iface_("Front") if turn == 0 else iface_("Back")
    else:
        side = (rpt_("{}° right") if turn > 0 else rpt_("{}° left")).format(abs(turn))
    height = (rpt_("{}° up") if rise > 0 else rpt_("{}° down")).format(abs(rise)) if rise else iface_("level")
    return f"{side}, {height}"


def _draw_error(layout, context, error: OrbitError) -> None:
    """Draws why nothing was found, and the button that mends it, if there is one."""
    draw_wrapped_text(layout, context, error.message, icon="ERROR")
    if error.fix == "retry":
        layout.operator("orbit_texture.check_reference", text="Check Again", icon="FILE_REFRESH")
    elif error.fix in FIXES:
        layout.operator(f"orbit_texture.{error.fix}")


def _draw_candidates(layout, context: bpy.types.Context, check: ReferenceCheck, chosen: int) -> None:
    """Draws the views that are likely, each as a picture of the mesh that wears the reference."""
    box = layout.box()
    draw_wrapped_text(
        box,
        context,
        "It is uncertain which side the reference shows. Which one is right? Texture Selected takes the one "
        "that is pressed.",
        icon="QUESTION",
    )
    grid = box.grid_flow(row_major=True, columns=_CANDIDATE_COLUMNS, even_columns=True, even_rows=True)
    for index, icon in enumerate(previews.icon_ids(check.job)[1:]):
        cell, found = grid.column(align=True), check.report["candidates"][index]
        cell.template_icon(icon, scale=_CANDIDATE_SCALE)
        text = describe_direction(found["azimuth"], found["elevation"])
        button = cell.operator(
            "orbit_texture.choose_view", text=text, translate=False, depress=index == chosen
        )
        button.index = index
    draw_wrapped_text(box, context, "None is right? Correct the mask, or set View to Pins.")
