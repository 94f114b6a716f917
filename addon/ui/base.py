"""What several panels and menus have in common."""

from ..objects import region

TEXTURE_BUTTON = "orbit_texture_button"
"""Member that a layout with the button Texture Selected adds to the context: a button needs a reference to be
pressed, and a script can give one."""


class OrbitPanel:
    """Places a panel in the viewport's sidebar, on the Orbit Texture tab."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Orbit Texture"


def draw_texture_button(layout, context) -> None:
    """Draws Texture Selected, which is grey without a reference; Repaint Region while faces are selected in
    Edit Mode.

    Args:
        layout: a part of a layout for the button alone.
    """
    layout.context_pointer_set(TEXTURE_BUTTON, context.scene)
    if region.has_selected_faces(context.object):
        layout.operator("orbit_texture.repaint_region", icon="TPAINT_HLT")
    else:
        layout.operator("orbit_texture.texture_selected", icon="TEXTURE")
