"""A Blender object, what a job needs of it, and what a result adds to it.

1. ``identity.py``: an object, found again after a rename, an undo, a save or a reload.
2. ``mesh_io.py``: object to arrays, UVs back to the mesh: the only place that reads or writes a mesh.
3. ``snapshot.py``: what a job sends of those arrays.
4. ``takes.py``, ``material.py``, ``report.py``: results on the object, their material and their report.
5. ``region.py``: the part of a take that is painted anew.
6. ``fingerprint.py``: the proof that the mesh is the same as before.
7. ``export.py``: a take as files.
"""
