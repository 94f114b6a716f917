"""Cameras, and what they see of the surface.

1. ``camera.py``: pinhole and orthographic cameras, and orbits of them.
2. ``rasterize.py``, with the compiled loops of ``draw.py``: G-buffers by a z-buffer.
3. ``gbuffer_images.py``: G-buffers as the images that OrbitPainter reads.
4. ``visibility.py``, ``occlusion.py``: which points a view sees, and ambient occlusion.
5. ``footprint.py``, ``sample.py``: reads of an image over a texel's footprint, and at a point.
6. ``photograph.py``, ``contact_sheet.py``, ``video.py``: renderings of a textured mesh, contact sheets,
   videos.
"""
