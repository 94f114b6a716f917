"""The reference projected onto the surface by its camera.

1. ``warp.py``: warps the image so that its outline and edges lie on the mesh's (free-form deformation).
2. ``shading.py``: removes the light that follows the normals, if the user asks for it.
3. ``projection.py``: looks up the colour of any point that the image shows.
4. ``lettering.py``: detects lettering, which must not be mirrored.
5. ``symmetry.py``: finds the mesh's plane of symmetry.
"""
