"""Orbit Texture's backend: everything that runs outside Blender's main thread.

Only :mod:`backend.api` may be imported inside Blender; it needs numpy and pyzmq and nothing else.
"""
