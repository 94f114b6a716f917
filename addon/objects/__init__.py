"""Blender objects: what a job reads from them, and what a result adds to them. In the order of a job:

1. ``identity.py`` finds an object again after a rename, an undo, a save or a reload.
2. ``mesh_io.py`` reads an object into arrays and writes UVs back: the only place that reads or writes a mesh.
3. ``snapshot.py`` turns those arrays into what a job sends.
4. ``takes.py`` adds a result to an object, with its ``material.py`` (``color_spaces.py``), its ``slots.py``,
   its ``active_uv_map.py`` and its ``report.py``; ``undo_on_error.py`` takes back what a failed one has
   added.
5. ``fingerprint.py`` proves that the mesh is otherwise unchanged.
6. ``region.py`` marks the region of a take to repaint.
7. ``mask_correction.py`` stores the ``strokes.py`` that correct the mask of the reference.
8. ``appearance.py`` tells where modifiers hide a take, ``transparency.py`` which materials are
   transparent; ``cut_out.py`` and ``node_copies.py`` keep their alpha in a take.
9. ``export.py`` writes a take to files, named by ``file_names.py``.
"""
