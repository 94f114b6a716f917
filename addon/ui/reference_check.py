"""The reference in the main panel, and what its check has found: the outline, sentences, and the
views to choose from."""

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.events import State
from ..jobs import previews
from ..reference_check.check import ReferenceCheck
from ..reference_check.checks import checks
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
    if check:
        draw_progress(layout, checks.find(context.object, panel))
        draw_findings(layout, context, check)
        if check.asks:
            _draw_candidates(layout, context, check, icons[1:])


def _draw_buttons(layout, context) -> None:
    row = layout.row(align=True)
    shown = row.row(align=True)
    shown.enabled = checks.find_with_camera(context.object, context.scene.orbit_texture) is not None
    shown.prop(
        context.window_manager, "orbit_texture_projection", text="Project", icon="MOD_UVPROJECT", toggle=True
    )
    row.operator("orbit_texture.correct_mask", icon="BRUSH_DATA")
    if context.object.orbit_texture.strokes:
        row.operator("orbit_texture.clear_mask", text="", icon="X")
    row.operator("orbit_texture.check_reference", text="", icon="FILE_REFRESH")


def draw_progress(layout, check: ReferenceCheck | None) -> None:
    """Draws that a check is awaited, nothing if it is not."""
    if check is None or not checks.is_at_work(check):
        return
    event = check.event
    waiting = event.state is State.QUEUED
    text = rpt_(event.message) or iface_("Waiting") if waiting else rpt_("Checking the reference")
    layout.progress(factor=0.0 if waiting else event.fraction, text=text)


def draw_findings(layout, context, check: ReferenceCheck) -> None:
    """Draws what was found, as sentences."""
    if check.notice:
        draw_wrapped_text(layout, context, check.notice, icon="INFO")
    if check.error:
        draw_wrapped_text(layout, context, check.error.message, icon="ERROR")
    if check.report is None:
        return
    doubtful = check.report["doubtful"]
    for note in check.notes:
        draw_wrapped_text(layout, context, note, icon="ERROR" if doubtful else "INFO")
    if check.report["candidates"] and not doubtful:
        best = check.report["candidates"][0]
        text = rpt_("View: azimuth {:.0f}°, elevation {:.0f}°").format(best["azimuth"], best["elevation"])
        layout.label(text=text, icon="CHECKMARK", translate=False)


def _draw_candidates(layout, context: bpy.types.Context, check: ReferenceCheck, icons: list[int]) -> None:
    """Draws the views that are likely, each as a picture of the mesh that wears the reference."""
    if len(icons) < 2:
        return
    box = layout.box()
    draw_wrapped_text(box, context, "Which one is right? Texture Selected takes the first.", icon="QUESTION")
    grid = box.grid_flow(row_major=True, columns=_CANDIDATE_COLUMNS, even_columns=True, even_rows=True)
    for index, icon in enumerate(icons):
        cell, found = grid.column(align=True), check.report["candidates"][index]
        cell.template_icon(icon, scale=_CANDIDATE_SCALE)
        text = rpt_("{:.0f}°, {:.0f}° up").format(found["azimuth"], found["elevation"])
        cell.operator("orbit_texture.choose_view", text=text, translate=False).index = index
