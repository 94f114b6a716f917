"""The painted frames are brought to agree on the surface before they are fused (docs/baking.md#align-first).

1. ``register.py``: each frame is warped by a free-form deformation towards the common texture, and its
   exposure is matched.
2. ``free_form.py``: that deformation, and its Gauss-Newton step.
3. ``common_drift.py``: the drift that all views of a place have in common is taken out of the warps.

``align.py`` repeats them, coarse to fine.
"""
