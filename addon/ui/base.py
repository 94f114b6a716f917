"""What several panels and menus have in common."""

from ..operators.texture_selected import BUTTON


class OrbitPanel:
    """Places a panel in the viewport's sidebar, on the Orbit Texture tab."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Orbit Texture"


def draw_texture_button(layout, context) -> None:
    """Draws Texture Selected, which is grey without a reference.

    Args:
        layout: a part of a layout for the button alone.
    """
    layout.context_pointer_set(BUTTON, context.scene)
    layout.operator("orbit_texture.texture_selected", icon="TEXTURE")
