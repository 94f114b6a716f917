"""Filling the surface that the reference does not show, with patches of it (image analogies, Hertzmann et al.
2001).

1. ``samples.py``: points spread evenly over the surface, each with its neighbours unrolled into a tangent
   frame.
2. ``revolution.py``, ``orientation_field.py``: the axis of what is round, and the tangent direction that
   patterns follow.
3. ``exemplar.py``: the image that patches are copied from, with the surface that each of its pixels shows.
4. ``guides.py``, ``turning_prior.py``, ``rotational_prior.py``, ``seam_prior.py``: what shape, rotational
   symmetry (of what is round, and of other things) and the known surface say about a sample.
5. ``level.py``, ``state_builder.py``, ``level_state.py``: one resolution level: what its search starts from,
   what stays the same during it, and the occurrence map.
6. ``patchmatch.py``: the nearest-neighbour field, improved by propagation and random search (Barnes et al.
   2009), and voting (Wexler et al. 2007).
7. ``synthesis.py``: the levels, coarse to fine (Kaspar et al. 2015).
8. ``patch_rendering.py``: the frames of the views, read from the image at full resolution.

``config.py`` holds the tuned numbers of all of them.
"""
