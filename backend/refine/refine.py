"""The refine stage."""

from ..bake.bake import Texture
from ..mesh.surface import Surface


def refine(surface: Surface, texture: Texture) -> Texture:
    """The refined texture. There is no refinement model yet: the texture comes back as it is."""
    return texture
