"""What to know before a job: what is wrong with an object, what becomes of it, and what it costs.

1. ``mesh_check.py``: flipped faces and unusable UV maps, found in plain arrays.
2. ``inspection.py``: those findings, remembered until the mesh changes.
3. ``estimate.py``: seconds and memory.
4. ``preflight.py``: all of it as messages, each with the operator that fixes it.
"""
