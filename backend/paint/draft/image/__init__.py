"""The reference projected onto the surface by its camera.

1. ``warp.py``: warps the image so that its outline and edges lie on the mesh's (free-form deformation).
2. ``transfer.py``: measures how much light from all around reaches each point (radiance transfer).
3. ``lamps.py``: fits lamps to the image; ``color.py`` converts to linear light and back.
4. ``light.py``: removes their light.
5. ``projection.py``: looks up the colour of any point that the image shows.
6. ``lettering.py``: detects lettering, which must not be mirrored.
7. ``symmetry.py``: finds the mesh's plane of symmetry.
8. ``border_light.py``: carries the light of the front over its border, where the front stays lit.
"""
