"""What to know before a job: problems are drawn above the button, everything else in a panel of its own."""

import bpy

from ..checks import inspection, preflight
from ..checks.preflight import Notice
from ..objects import mesh_io
from .base import OrbitPanel
from .text import draw_wrapped_text


class PreflightPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_preflight"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Preflight"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.object.type == "MESH"

    def draw(self, context):
        notes = [notice for notice in _notices(context) if not notice.urgent]
        for notice in notes:
            _draw_notice(self.layout, context, notice)
        if context.object.mode == "OBJECT" and inspection.get_cached_check(context.object) is None:
            draw_wrapped_text(
                self.layout,
                context,
                "This mesh has not been checked for flipped faces and overlapping UVs.",
                icon="QUESTION",
            )
            self.layout.operator("orbit_texture.check_mesh", icon="VIEWZOOM")
        elif not notes:
            self.layout.label(text="No problems found", icon="CHECKMARK")


def draw_urgent(layout, context) -> None:
    """Draws the problems to fix before texturing, each with the button that fixes it."""
    for notice in _notices(context):
        if notice.urgent:
            _draw_notice(layout.box(), context, notice)


def draw_estimate(layout, context) -> None:
    """Draws the estimated time and memory of a job for the active object."""
    obj = context.object
    if obj is None or obj.type != "MESH":
        return
    if text := preflight.describe_cost(
        mesh_io.triangle_count(obj.data), context.scene.orbit_texture.to_settings()
    ):
        layout.label(text=text, icon="TIME", translate=False)


def _notices(context) -> list[Notice]:
    obj = context.object
    if obj is None or obj.type != "MESH" or not obj.select_get():
        return []
    return preflight.notices(obj, context.scene.orbit_texture.to_settings(), inspection.get_cached_check(obj))


def _draw_notice(layout, context, notice: Notice) -> None:
    draw_wrapped_text(layout, context, notice.text, icon="ERROR" if notice.urgent else "INFO")
    if notice.fix:
        layout.operator(f"orbit_texture.{notice.fix}")
