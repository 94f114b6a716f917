"""Files and messages with mistakes, for every reader: each must read them or say in a sentence why not.

``readers`` holds what the backend reads and ``manifests`` what Blender reads, ``mutations`` makes the
mistakes, and ``run`` counts what becomes of them. ``python -m tests.fuzz`` goes on for as long as one likes.
"""
