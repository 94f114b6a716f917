"""What crosses the wire between Blender and the worker: jobs, messages, errors, keys.

Importing a module of this package never opens a socket and never starts a process.
"""
