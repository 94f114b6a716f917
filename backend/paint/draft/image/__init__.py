"""The reference projected onto the surface by its camera.

1. ``warp.py``: warps the image so that its outline and edges lie on the mesh's (free-form deformation).
2. ``transfer.py``: measures how much light from all around reaches each point (radiance transfer).
3. ``gloss.py``: adds what the surface mirrors of it.
4. ``lamps.py``: fits lamps to the image; ``color.py`` converts to linear light and back.
5. ``light.py``: removes their light, and, by ``paints.py``, what remains of it within one paint.
6. ``projection.py``: looks up the colour of any point that the image shows.
7. ``lettering.py`` and ``glyphs.py``: detect rows of letters, and large ones, which must not be mirrored.
8. ``symmetry.py``: finds the mesh's planes of symmetry.
9. ``panel.py``: finds out whether the mesh is a panel, whose back the front says little of.
10. ``known_surface.py``: what the image shows of the surface, what is mirrored of that, and a panel's back.
11. ``repainted.py``: what of that a repainted region forgets, to show something else.
12. ``border_light.py``: carries the light of the front over its border, where the front stays lit.
"""
