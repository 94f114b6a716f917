"""The reference as the camera shows it on the surface.

1. ``warp.py``: the image bent onto the mesh's outline and inner edges (free-form deformation).
2. ``shading.py``: light that follows the normals, divided out if the user asks for it.
3. ``projection.py``: the colour of any point that the image shows.
4. ``lettering.py``: whether the image shows print, which is never mirrored.
5. ``symmetry.py``: the mirror planes of the mesh that the image does not contradict.
"""
