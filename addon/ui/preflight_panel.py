"""What to know before a job: above the button what should be mended, in a panel of its own the rest."""

import bpy

from ..checks import inspection, preflight
from ..checks.preflight import Notice
from ..objects import mesh_io
from .base import OrbitPanel
from .text import wrapped


class PreflightPanel(OrbitPanel, bpy.types.Panel):
    bl_idname = "ORBIT_TEXTURE_PT_preflight"
    bl_parent_id = "ORBIT_TEXTURE_PT_main"
    bl_label = "Preflight"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.object.type == "MESH"

    def draw(self, context):
        notes = [finding for finding in _findings(context) if not finding.urgent]
        for finding in notes:
            _draw(self.layout, context, finding)
        if context.object.mode == "OBJECT" and inspection.get_cached_check(context.object) is None:
            wrapped(
                self.layout,
                context,
                "Flipped faces and overlapping UVs have not been looked for.",
                icon="QUESTION",
            )
            self.layout.operator("orbit_texture.check_mesh", icon="VIEWZOOM")
        elif not notes:
            self.layout.label(text="Nothing to know", icon="CHECKMARK")


def draw_urgent(layout, context) -> None:
    """What should be mended before the button is pressed, each with the button that mends it."""
    for finding in _findings(context):
        if finding.urgent:
            _draw(layout.box(), context, finding)


def draw_estimate(layout, context) -> None:
    """What a job for the active object will cost."""
    obj = context.object
    if obj is None or obj.type != "MESH":
        return
    if text := preflight.describe_cost(
        mesh_io.triangle_count(obj.data), context.scene.orbit_texture.to_settings()
    ):
        layout.label(text=text, icon="TIME", translate=False)


def _findings(context) -> list[Notice]:
    obj = context.object
    if obj is None or obj.type != "MESH" or not obj.select_get():
        return []
    return preflight.notices(obj, context.scene.orbit_texture.to_settings(), inspection.get_cached_check(obj))


def _draw(layout, context, finding: Notice) -> None:
    wrapped(layout, context, finding.text, icon="ERROR" if finding.urgent else "INFO")
    if finding.fix:
        layout.operator(f"orbit_texture.{finding.fix}")
