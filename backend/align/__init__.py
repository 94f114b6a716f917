"""Bringing the frames to agree on the surface before they are fused.

``draft`` paints every frame from one coloured surface, so its frames agree by construction and pass through unchanged.
"""
