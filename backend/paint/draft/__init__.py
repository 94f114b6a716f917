"""The draft: a painter without weights.

1. ``camera``: find the view that the reference shows.
2. ``image``: project the reference onto the surface, and mirror it where the mesh is symmetric.
3. ``fill``: synthesise what is still hidden from patches of the reference.

``painter.py`` runs the three.
"""
