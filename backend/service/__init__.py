"""The server that accepts jobs from Blender, and the worker process that it supervises.

A job passes through these modules in order: ``server.py`` receives it, ``jobs.py`` queues it,
``job_folders.py`` saves it, ``journal.py`` records its state, ``supervisor.py`` gives it to the worker
process, and ``worker.py`` runs the pipeline there. ``eta.py`` estimates the time left; ``logs.py`` limits the
log files. The server never computes and never blocks; only the worker computes. See ``docs/protocol.md``.
"""
