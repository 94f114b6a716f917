"""The server that takes jobs from Blender, and the worker process that it watches over.

The server never computes and never blocks; the worker does nothing else. See ``docs/protocol.md``.
"""
