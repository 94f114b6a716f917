"""The torch builds that the backend's environment can have. Standard library only, since install.py imports
it."""

DISK_GIGABYTES = {"cuda": 10.0, "rocm": 20.0, "mps": 3.0, "cpu": 3.0}
"""Disk space that an environment with each torch build needs while it is installed."""
