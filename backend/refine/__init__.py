"""Refining the baked texture with a generative 3D prior, TRELLIS.2 (Ink3D 3.3).

1. ``trellis2/dual_grid.py``: the mesh as the cells of a sparse voxel grid (``voxel_grid.py``).
2. ``voxel_colors.py``: the baked texture on these cells, read at the point of the surface closest to each
   (``closest_points.py``).
3. ``trellis2/sdedit.py``: cells become latents, which are noised, denoised after images, and decoded.
4. ``texture_merge.py``: the change goes back onto the texture, read from the cells by ``trilinear.py``.

``refine.py`` is the stage that runs these steps.
"""
