"""The two pictures of the main panel: the reference, and beside it what is made of it. Their height never
changes, so that nothing below them moves while a job paints."""

import bpy

from ..jobs import previews
from ..jobs.entry import JobEntry
from ..objects import material, takes
from ..reference_check.checks import checks

_SCALE = 7.0
"""Height of the pictures, in units of Blender's icons."""

_COLUMNS = 2
"""Rows and columns of the images of a running job."""


def draw_pictures(layout, context: bpy.types.Context, entry: JobEntry | None) -> None:
    """Draws the reference, with the object's outline if that was found, and the images of a running job or
    else the take that the object shows.

    Args:
        entry: the job to show, if there is one.
    """
    obj, panel = context.object, context.scene.orbit_texture
    row = layout.row()
    row.template_icon(_reference_icon(row, obj, panel), scale=_SCALE)
    if painted := previews.icon_ids(entry.job) if entry else []:
        _draw_grid(row, painted)
    elif icon := _take_icon(row, obj):
        row.template_icon(icon, scale=_SCALE)


def draw_take(layout, take, scale: float) -> None:
    """Draws the picture of a take; nothing if it has none."""
    if icon := find_take_icon(layout, take):
        layout.template_icon(icon, scale=scale)


def find_take_icon(layout, take) -> int:
    """The icon of a take's picture, 0 if it has none."""
    if take.material and take.material.preview:
        # Not the material's icon from the layout: Blender would render the material for that and block.
        return take.material.preview.icon_id
    image = material.find_image(take.material, "base_color")
    return layout.icon(image) if image else 0


def _reference_icon(layout, obj: bpy.types.Object | None, panel) -> int:
    check, image = checks.find_shown(obj, panel), panel.find_image(obj)
    outlined = previews.icon_ids(check.job) if check else []
    return outlined[0] if outlined else layout.icon(image) if image else 0


def _take_icon(layout, obj: bpy.types.Object | None) -> int:
    index = takes.find_shown_index(obj) if obj and obj.type == "MESH" else -1
    return find_take_icon(layout, obj.orbit_texture.takes[index]) if index >= 0 else 0


def _draw_grid(layout, icons: list[int]) -> None:
    """Draws images spread over all of a job's views."""
    chosen = icons[:: max(1, len(icons) // _COLUMNS**2)][: _COLUMNS**2]
    if len(chosen) < _COLUMNS**2:
        layout.template_icon(chosen[0], scale=_SCALE)
        return
    grid = layout.grid_flow(row_major=True, columns=_COLUMNS, even_columns=True, align=True)
    for icon in chosen:
        # A little less than half: the gaps between them must not make the whole higher.
        grid.template_icon(icon, scale=_SCALE / _COLUMNS - 0.05)
