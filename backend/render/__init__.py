"""Cameras, and what they see of the bare surface."""
