"""Orbit Texture: textures the selected mesh from one reference image. The extension's entry; see addon/."""

from .addon import register, unregister

__all__ = ["register", "unregister"]
