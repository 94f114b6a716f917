import bpy

settings = bpy.context.scene.orbit_texture
settings.painter = "orbitpainter"
settings.quality = "fast"
settings.view_transform = "agx"
settings.texture_size = "2048"
settings.refine = False
