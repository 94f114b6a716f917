"""The commands of ``python -m backend``, grouped by what they are for. Each command imports what it runs only
when it is called, so that all start quickly.

1. ``job_arguments.py``: the arguments that describe a job.
2. ``jobs.py``: texture a mesh file, or run some stages of it.
3. ``models.py``: download, convert and train models.
4. ``service.py``: the server for Blender, and what is wrong with the installation.
"""
