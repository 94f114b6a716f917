"""From aligned frames to a texture.

1. ``agreement.py``: where frames agree, and how their tone is shared.
2. ``view_selection.py``, with ``contrast_weights.py`` and ``alpha_expansion.py``: one view per voxel by graph
   cuts.
3. ``texel_colors.py``: what single views show of texels.
4. :mod:`backend.fuse.solve`: the texture that re-renders all views where they agree.
5. ``fill.py``: colours for the surface that no view sees.
6. ``seams.py``: both sides of UV seams show the same.
7. ``share.py``: copies that share texels get one colour for each.
8. ``region.py``: the blend with an earlier texture, where only a region is textured anew;
   ``region_image.py``: an image of the region.

``bake.py`` runs 1 to 6.
"""
