"""Checks before a job: what is wrong with an object, what will happen to it, and what the job costs.

1. ``mesh_check.py``: flipped faces and unusable UV maps, found in plain arrays.
2. ``inspection.py``: the results, cached until the mesh changes.
3. ``estimate.py``: seconds and memory.
4. ``preflight.py``: all of it as notices, each with the operator that fixes it.
"""
