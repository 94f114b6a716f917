"""The base of all panels."""


class OrbitPanel:
    """Places a panel in the viewport's sidebar, on the Orbit Texture tab."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Orbit Texture"
