"""The suite has two halves: ``tests/blender`` runs in a Python with bpy, everything else in the backend's environment."""

import importlib.util

HAS_BPY = importlib.util.find_spec("bpy") is not None

collect_ignore_glob = ["test_*.py"] if HAS_BPY else ["blender/*"]
