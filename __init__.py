"""Orbit Texture: textures the selected mesh from one reference image. The extension's entry; see addon/."""

from .addon import register, unregister
from .addon.headless import texture
from .backend.api.settings import Settings

__all__ = ["Settings", "register", "texture", "unregister"]
