"""Bringing the painted frames to agree on the surface before they are fused (specs: baking 5)."""
