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
from .base import OrbitPanel
from .job import FIXES
from .text import draw_wrapped_text

_CANDIDATE_COLUMNS = 2
"""Views to choose from, side by side."""

_CANDIDATE_SCALE = 4.5
"""Size of the picture of a view, in units of Blender's icons."""


def draw_chooser(layout, context) -> None:
    """Draws the choice of the reference: the active object's own if it has one, else the one for all."""
    panel, obj = context.scene.orbit_texture, context.object
    row = layout.row(align=True)
    own = obj.orbit_texture if obj and obj.orbit_texture.reference else None
    if own:
        row.template_ID(own, "reference", open="orbit_texture.open_reference")
    else:
        row.template_ID(panel, "image", open="orbit_texture.open_reference")
    row.menu("ORBIT_TEXTURE_MT_recent_references", text="", icon="RECOVER_LAST")
    row.operator(
        "orbit_texture.own_reference", text="", icon="PINNED" if own else "UNPINNED", depress=own is not None
    )


def draw_reference_buttons(layout, context) -> None:
    """Draws what can be done with the reference."""
    obj = context.object
    row = layout.row(align=True)
    shown = row.row(align=True)
    shown.enabled = checks.find_with_camera(obj, context.scene.orbit_texture) is not None
    shown.prop(
        context.window_manager, "orbit_texture_projection", text="Project", icon="MOD_UVPROJECT", toggle=True
    )
    row.operator("orbit_texture.correct_mask", icon="BRUSH_DATA")
    row.operator("orbit_texture.clear_mask", text="", icon="X")
    row.operator("orbit_texture.check_reference", text="", icon="FILE_REFRESH")


def draw_check_line(layout, context) -> None:
    """Draws one line: that a check is at work, or what it has found."""
    obj, panel = context.object, context.scene.orbit_texture
    check = checks.find(obj, panel)
    if check and checks.is_at_work(check):
        draw_progress(layout, check)
        return
    text, icon = _summarize(check, checks.find_offer(obj, panel) is not None)
    layout.label(text=text, icon=icon, translate=False)


class ReferenceCheckPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_reference_check"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Reference Check"

    @classmethod
    def poll(cls, context):
        obj, panel = context.object, context.scene.orbit_texture
        check = checks.find_shown(obj, panel)
        return checks.find_offer(obj, panel) is not None or (check is not None and _has_findings(check))

    def draw(self, context):
        draw_check(self.layout, context)


def draw_check(layout, context) -> None:
    """Draws what was found as sentences, and the views to choose from."""
    obj, panel = context.object, context.scene.orbit_texture
    offer = checks.find_offer(obj, panel)
    if check := checks.find_shown(obj, panel):
        image, found = panel.find_image(obj), checks.find_with_camera(obj, panel)
        # Blender would load the pixels here, and wait for that.
        if found and image.has_data and found.is_turned(image):
            draw_wrapped_text(layout, context, SIDEWAYS, icon="INFO")
        draw_findings(layout, context, check, asks=offer is not None)
    if offer:
        _draw_candidates(layout, context, *offer)


def draw_progress(layout, check: ReferenceCheck) -> None:
    """Draws how far a check is."""
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
    doubts = check.report["doubts"] if check.report else ()
    for note in check.notes:
        if note not in doubts:
            draw_wrapped_text(layout, context, note, icon="INFO")
        elif not asks:
            draw_wrapped_text(layout, context, note, icon="ERROR")


def _has_findings(check: ReferenceCheck) -> bool:
    """Whether there is more to say than the line in the main panel does."""
    return bool(check.notice or check.error or check.notes)


def _summarize(check: ReferenceCheck | None, asks: bool) -> tuple[str, str]:
    """What a check has found in a few words, and an icon for it.

    Args:
        asks: whether the user is asked for the view.
    """
    if asks:
        return rpt_("Which side does it show? See below"), "QUESTION"
    if check is None or not (check.report or check.error):
        return rpt_("The reference is not checked yet"), "BLANK1"
    if check.error:
        return rpt_("Nothing was found, see below"), "ERROR"
    candidates = check.report["candidates"]
    if not candidates:
        return rpt_("The reference is checked"), "CHECKMARK"
    text = rpt_("Side shown: {}").format(
        describe_direction(candidates[0]["azimuth"], candidates[0]["elevation"])
    )
    return text, "ERROR" if check.report["doubtful"] else "CHECKMARK"


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
    draw_wrapped_text(box, context, "None is right? Correct the mask, or set Side Shown to Pins.")
