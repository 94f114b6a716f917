"""Filling the surface that the reference does not show, with patches of it (image analogies, Hertzmann et al.
2001).

1. ``samples.py``: points spread evenly over the surface, with neighbours (Poisson-like sampling).
2. ``orientation_field.py``: the tangent direction that patterns follow.
3. ``exemplar.py``: the image as the source of patches, rectified by what it shows.
4. ``guides.py``, ``rotational_prior.py``, ``seam_prior.py``: what shape, rotational symmetry and the known
   surface say about a sample.
5. ``level_state.py``: what stays the same during the search of one level.
6. ``patchmatch.py``: nearest-neighbour search and voting (Barnes et al. 2009, Wexler et al. 2007).
7. ``synthesis.py``: the levels, coarse to fine (Kaspar et al. 2015).
8. ``patch_rendering.py``: the frames of the views, read from the image at full resolution.
"""
