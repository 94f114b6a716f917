"""The builds of torch that the backend's environment can have. Standard library only, since install.py
imports it."""

GIGABYTES = {"cuda": 10.0, "rocm": 20.0, "mps": 3.0, "cpu": 3.0}
"""Disk space that an environment with each build needs while it is made."""
